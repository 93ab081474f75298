"""Key states, which moto ignores, and what is this engine's own: the form of a ciphertext, and the master key."""

import base64
import sqlite3
import time

import pytest

from tests.vault.embedded.sessions import REGION, code_of, embedded_session
from vault.embedded import database, keyfile

CRYPTOGRAPHIC = ("generate_data_key", "generate_data_key_without_plaintext", "encrypt", "decrypt")


def codes(kms, key_id, blob):
    """How each cryptographic operation with the key is answered."""
    parameters = {
        "generate_data_key": {"KeySpec": "AES_256"},
        "generate_data_key_without_plaintext": {"KeySpec": "AES_256"},
        "encrypt": {"Plaintext": b"x"},
        "decrypt": {"CiphertextBlob": blob},
    }
    return {code_of(getattr(kms, name), KeyId=key_id, **parameters[name]) for name in CRYPTOGRAPHIC}


@pytest.fixture
def blob(kms, key_id):
    return kms.encrypt(KeyId=key_id, Plaintext=b"secret")["CiphertextBlob"]


def test_disabled_key_refuses_until_enabled(kms, key_id, blob):
    kms.disable_key(KeyId=key_id)
    assert codes(kms, key_id, blob) == {"DisabledException"}
    assert code_of(kms.decrypt, CiphertextBlob=blob) == "DisabledException"
    assert code_of(kms.enable_key_rotation, KeyId=key_id) == "DisabledException"
    kms.enable_key(KeyId=key_id)
    assert codes(kms, key_id, blob) == {"accepted"}


def test_key_pending_deletion_refuses_until_cancelled_and_enabled(kms, key_id, blob):
    kms.schedule_key_deletion(KeyId=key_id)
    assert codes(kms, key_id, blob) == {"KMSInvalidStateException"}
    kms.cancel_key_deletion(KeyId=key_id)
    assert codes(kms, key_id, blob) == {"DisabledException"}
    kms.enable_key(KeyId=key_id)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


REFUSED_WHILE_PENDING = [
    ("enable_key", {}),
    ("disable_key", {}),
    ("schedule_key_deletion", {}),
    ("enable_key_rotation", {}),
    ("tag_resource", {"Tags": []}),
]


@pytest.mark.parametrize(("operation", "more"), REFUSED_WHILE_PENDING, ids=[row[0] for row in REFUSED_WHILE_PENDING])
def test_key_pending_deletion_is_not_changed(kms, key_id, operation, more):
    kms.schedule_key_deletion(KeyId=key_id)
    assert code_of(getattr(kms, operation), KeyId=key_id, **more) == "KMSInvalidStateException"
    assert code_of(kms.create_alias, AliasName="alias/a", TargetKeyId=key_id) == "KMSInvalidStateException"


def test_key_is_gone_after_its_waiting_period(kms, key_id, directory):
    kms.schedule_key_deletion(KeyId=key_id)
    with database.Database(directory).write() as connection:
        past = time.time() - 1
        connection.execute("UPDATE keys SET details = json_set(details, '$.DeletionDate', ?)", (past,))
    assert code_of(kms.describe_key, KeyId=key_id) == "NotFoundException"
    assert code_of(kms.cancel_key_deletion, KeyId=key_id) == "NotFoundException"


def test_only_a_key_pending_deletion_is_cancelled(kms, key_id):
    assert code_of(kms.cancel_key_deletion, KeyId=key_id) == "KMSInvalidStateException"


def test_decrypt_refuses_the_ciphertext_of_another_key(kms, blob):
    other = kms.create_key()["KeyMetadata"]["Arn"]
    assert code_of(kms.decrypt, CiphertextBlob=blob, KeyId=other) == "IncorrectKeyException"


def test_every_bit_of_a_ciphertext_counts(kms, key_id, blob):
    def flipped(position):
        return blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :]

    answers = [code_of(kms.decrypt, CiphertextBlob=flipped(position), KeyId=key_id) for position in range(len(blob))]
    # After the version byte come the sixteen of the key id, which then names another key.
    assert answers[1:17] == ["IncorrectKeyException"] * 16
    assert set(answers[:1] + answers[17:]) == {"InvalidCiphertextException"}


MALFORMED = [("short", b"\x01"), ("of another version", b"\x02" * 80), ("header alone", b"\x01" * 45)]


@pytest.mark.parametrize("malformed", [row[1] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_malformed_ciphertext_is_refused(kms, malformed):
    assert code_of(kms.decrypt, CiphertextBlob=malformed) == "InvalidCiphertextException"


def test_ciphertext_of_an_unknown_key_is_refused(kms):
    assert code_of(kms.decrypt, CiphertextBlob=b"\x01" * 80) == "AccessDeniedException"


def test_key_serves_its_usage_alone(kms, key_id):
    mac_key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    mac = {"MacAlgorithm": "HMAC_SHA_256", "Message": b"message"}
    assert code_of(kms.generate_data_key, KeyId=mac_key, KeySpec="AES_256") == "InvalidKeyUsageException"
    assert code_of(kms.generate_mac, KeyId=key_id, **mac) == "InvalidKeyUsageException"
    assert code_of(kms.enable_key_rotation, KeyId=mac_key) == "UnsupportedOperationException"


def test_alias_moves_to_a_key_of_its_kind_alone(kms, key_id):
    mac_key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/vault", TargetKeyId=key_id)
    assert code_of(kms.update_alias, AliasName="alias/vault", TargetKeyId=mac_key) == "ValidationException"
    assert kms.describe_key(KeyId="alias/vault")["KeyMetadata"]["KeyId"] == key_id


def test_key_has_four_names(kms, key_id):
    kms.create_alias(AliasName="alias/vault", TargetKeyId=key_id)
    prefix = f"arn:aws:kms:{REGION}:000000000000:"
    names = [key_id, f"{prefix}key/{key_id}", "alias/vault", f"{prefix}alias/vault"]
    assert {kms.encrypt(KeyId=name, Plaintext=b"x")["KeyId"] for name in names} == {names[1]}
    # As in KMS, what changes a key takes no alias.
    assert code_of(kms.disable_key, KeyId="alias/vault") == "NotFoundException"


BAD_ALIASES = ["vault", "alias/", "alias/aws/vault", "alias/a b"]


@pytest.mark.parametrize("name", BAD_ALIASES)
def test_bad_alias_is_refused(kms, key_id, name):
    assert code_of(kms.create_alias, AliasName=name, TargetKeyId=key_id) == "InvalidAliasNameException"


def test_regions_are_apart(session, kms, key_id, blob):
    elsewhere = session.client("kms", region_name="us-east-1")
    assert elsewhere.create_key()["KeyMetadata"]["Arn"].startswith("arn:aws:kms:us-east-1:")
    assert code_of(elsewhere.describe_key, KeyId=key_id) == "NotFoundException"
    assert code_of(elsewhere.decrypt, CiphertextBlob=blob) == "AccessDeniedException"


REFUSED = [
    ("create_key", {"KeySpec": "HMAC_256"}, "ValidationException"),
    ("create_key", {"KeySpec": "RSA_2048"}, "ValidationException"),
    ("create_key", {"Policy": "no document"}, "MalformedPolicyDocumentException"),
    ("list_aliases", {"Limit": 1}, "ValidationException"),
]


@pytest.mark.parametrize(
    ("operation", "parameters", "code"), REFUSED, ids=[f"{row[0]} {' '.join(row[1])}" for row in REFUSED]
)
def test_request_that_breaks_a_rule_is_refused(kms, operation, parameters, code):
    assert code_of(getattr(kms, operation), **parameters) == code


OUT_OF_RANGE = [
    ("schedule_key_deletion", {"PendingWindowInDays": 6}),
    ("schedule_key_deletion", {"PendingWindowInDays": 31}),
    ("enable_key_rotation", {"RotationPeriodInDays": 2561}),
    ("encrypt", {"Plaintext": b"x" * 4097}),
]


@pytest.mark.parametrize(
    ("operation", "parameters"), OUT_OF_RANGE, ids=[f"{row[0]} {' '.join(row[1])}" for row in OUT_OF_RANGE]
)
def test_parameter_out_of_range_is_refused(kms, key_id, operation, parameters):
    assert code_of(getattr(kms, operation), KeyId=key_id, **parameters) == "ValidationException"
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Enabled"


LENGTHS = [{}, {"NumberOfBytes": 1025}, {"KeySpec": "AES_256", "NumberOfBytes": 32}]


@pytest.mark.parametrize("length", LENGTHS, ids=["none", "too long", "both"])
def test_data_key_needs_one_length(kms, key_id, length):
    assert code_of(kms.generate_data_key, KeyId=key_id, **length) == "ValidationException"


def test_no_secret_lies_in_the_files(kms, key_id, directory):
    data_key = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")["Plaintext"]
    kms.encrypt(KeyId=key_id, Plaintext=b"a secret of the test")
    master = keyfile.load(directory)
    connection = sqlite3.connect(directory / database.FILE_NAME)
    (wrapped,) = connection.execute("SELECT wrapped FROM keys").fetchone()
    connection.close()
    kept = b"".join(path.read_bytes() for path in directory.iterdir() if path.name != keyfile.FILE_NAME)
    needles = [data_key, master, b"a secret of the test"]
    assert wrapped in kept
    assert not any(form in kept for needle in needles for form in (needle, base64.b64encode(needle)))


def test_lost_master_key_is_not_replaced(kms, key_id, directory):
    (directory / keyfile.FILE_NAME).unlink()
    assert code_of(kms.generate_data_key, KeyId=key_id, KeySpec="AES_256") == "KMSInvalidStateException"
    assert code_of(kms.create_key) == "KMSInvalidStateException"
    assert not (directory / keyfile.FILE_NAME).exists()


def test_foreign_master_key_opens_nothing(kms, key_id, directory, tmp_path):
    embedded_session(tmp_path).client("kms").create_key()
    (tmp_path / keyfile.FILE_NAME).replace(directory / keyfile.FILE_NAME)
    assert code_of(kms.generate_data_key, KeyId=key_id, KeySpec="AES_256") == "KMSInvalidStateException"


def test_master_key_open_to_others_is_refused(kms, key_id, directory):
    (directory / keyfile.FILE_NAME).chmod(0o640)
    assert code_of(kms.generate_data_key, KeyId=key_id, KeySpec="AES_256") == "KMSInvalidStateException"


def test_master_key_of_another_length_is_refused(kms, key_id, directory):
    (directory / keyfile.FILE_NAME).write_bytes(b"short")
    assert code_of(kms.generate_data_key, KeyId=key_id, KeySpec="AES_256") == "KMSInvalidStateException"


def test_master_key_is_made_once(tmp_path):
    assert keyfile.create(tmp_path) == keyfile.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [keyfile.FILE_NAME]
