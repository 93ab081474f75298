"""Writes items for ever and prints the token of each one after it was acknowledged: the process that a test kills."""

import sys
import uuid
from pathlib import Path

from tests.vault.embedded.sessions import TABLE, embedded_session, key


def main(directory, key_id):
    session = embedded_session(Path(directory))
    dynamodb, kms = session.client("dynamodb"), session.client("kms")
    while True:
        token = str(uuid.uuid4())
        sealed = kms.encrypt(KeyId=key_id, Plaintext=token.encode())["CiphertextBlob"]
        dynamodb.put_item(TableName=TABLE, Item=key(token) | {"sealed": {"B": sealed}})
        sys.stdout.write(f"{token}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
