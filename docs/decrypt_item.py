"""Read one stored card with boto3 and AWS's own client alone: nothing of this project is imported.

    python docs/decrypt_item.py --region eu-central-1 --table billing-vault --key alias/billing-vault-card TOKEN

It shows two things: that what lies in DynamoDB is what AWS documents, so that your cards do not depend on our code,
and what somebody needs to read one, which is the right to kms:Decrypt under the card key. Such a read goes round the
application's policy and audit; CloudTrail alone records it. Digits are printed only with `--show`.
"""

import argparse
import base64
import json

import boto3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from dynamodb_encryption_sdk.delegated_keys.jce import JceNameLocalDelegatedKey
from dynamodb_encryption_sdk.encrypted import CryptoConfig
from dynamodb_encryption_sdk.encrypted.item import decrypt_dynamodb_item
from dynamodb_encryption_sdk.identifiers import CryptoAction, EncryptionKeyType, KeyEncodingType
from dynamodb_encryption_sdk.internal.formatting.material_description import deserialize
from dynamodb_encryption_sdk.material_providers.aws_kms import AwsKmsCryptographicMaterialsProvider
from dynamodb_encryption_sdk.material_providers.static import StaticCryptographicMaterialsProvider
from dynamodb_encryption_sdk.materials.raw import RawDecryptionMaterials
from dynamodb_encryption_sdk.structures import AttributeActions, EncryptionContext

SIGNED = ("token", "schema_version", "created_at", "item_version", "fingerprint")
ACTIONS = AttributeActions(
    default_action=CryptoAction.ENCRYPT_AND_SIGN, attribute_actions=dict.fromkeys(SIGNED, CryptoAction.SIGN_ONLY)
)
REUSED = "vault-reused-data-key"


def subkey(secret, use, algorithm):
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"vault card " + use).derive(secret)
    return JceNameLocalDelegatedKey(
        key=key, algorithm=algorithm, key_type=EncryptionKeyType.SYMMETRIC, key_encoding=KeyEncodingType.RAW
    )


def materials_provider(item, *, kms, key, table, region):
    """AWS's provider for an item with a data key of its own; for a reused one, what its data key unwraps to."""
    description = deserialize(dict(item["*amzn-ddb-map-desc*"]))
    if REUSED not in description:
        return AwsKmsCryptographicMaterialsProvider(
            key_id=kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"], regional_clients={region: kms}
        )
    secret = kms.decrypt(
        KeyId=key,
        CiphertextBlob=base64.b64decode(description["amzn-ddb-env-key"]),
        EncryptionContext={"*aws-kms-table*": table, REUSED: description[REUSED]},
    )["Plaintext"]
    return StaticCryptographicMaterialsProvider(
        decryption_materials=RawDecryptionMaterials(
            verification_key=subkey(secret, b"signing", "HmacSHA256"),
            decryption_key=subkey(secret, b"encryption", "AES"),
        )
    )


def read_card(session, *, table, key, token):
    """The card number under `token`."""
    item = session.client("dynamodb").get_item(TableName=table, Key={"token": {"S": token}})["Item"]
    provider = materials_provider(item, kms=session.client("kms"), key=key, table=table, region=session.region_name)
    context = EncryptionContext(table_name=table, partition_key_name="token", attributes=item)
    config = CryptoConfig(materials_provider=provider, encryption_context=context, attribute_actions=ACTIONS)
    return json.loads(decrypt_dynamodb_item(item, config)["payload"]["B"])["pan"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("token")
    parser.add_argument("--region", required=True)
    parser.add_argument("--table", default="billing-vault")
    parser.add_argument("--key", default="alias/billing-vault-card")
    parser.add_argument("--show", action="store_true", help="print the digits, not only the last four")
    options = parser.parse_args()
    session = boto3.session.Session(region_name=options.region)
    digits = read_card(session, table=options.table, key=options.key, token=options.token)
    print(digits if options.show else f"{len(digits)} digits, the last four {digits[-4:]}")


if __name__ == "__main__":
    main()
