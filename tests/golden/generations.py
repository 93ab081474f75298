"""Generations of golden items: how one is written, and how a test is put back into it."""

import base64
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from django.core import serializers

from tests.cards import NUMBERS
from tests.vaults import SETTINGS
from vault.embedded.database import FILE_NAME as TABLES
from vault.embedded.keyfile import FILE_NAME as KEY_FILE
from vault.models import Card, ErasureCertificate, Key
from vault.pan import PAN

FOLDER = Path(__file__).parent
_SQL = "aws.sql"
_KEY = "master.key.base64"
_REST = "golden.json"


@dataclass
class Generation:
    """What one version wrote. `content` is what was not in DynamoDB or KMS."""

    folder: Path
    content: dict

    @classmethod
    def read(cls, folder):
        return cls(folder, json.loads((folder / _REST).read_text()))

    def restore(self, settings, folder):
        """Put vault and rows back as they were."""
        folder.mkdir(mode=0o700)
        with closing(sqlite3.connect(folder / TABLES)) as connection:
            connection.executescript((self.folder / _SQL).read_text())
        key = folder / KEY_FILE
        key.touch(mode=0o600)
        key.write_bytes(base64.b64decode((self.folder / _KEY).read_text()))
        settings.VAULT = SETTINGS | self.content["vault"] | {"BACKEND": "embedded", "EMBEDDED_DIR": str(folder)}
        # A later version has more columns, and maybe fewer.
        for row in serializers.deserialize("json", json.dumps(self.content["rows"]), ignorenonexistent=True):
            row.save()


def generations():
    return sorted(folder for folder in FOLDER.iterdir() if folder.name.startswith("schema"))


def named(name):
    """The card that is called "visa:0"."""
    brand, _, place = name.partition(":")
    return PAN(NUMBERS[brand][int(place)])


def write(folder, *, vault_folder, **content):
    """Write a generation from the vault in `vault_folder`, and from the rows of this database."""
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(vault_folder / TABLES)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        statements = [*connection.iterdump(), f"PRAGMA user_version = {version};"]
    (folder / _SQL).write_text("\n".join(statements) + "\n")
    (folder / _KEY).write_text(base64.b64encode((vault_folder / KEY_FILE).read_bytes()).decode() + "\n")
    # To the microsecond, which Django's JSON is not.
    rows = serializers.serialize("python", [*Card.objects.all(), *Key.objects.all(), *ErasureCertificate.objects.all()])
    (folder / _REST).write_text(json.dumps({**content, "rows": rows}, indent=1, default=str) + "\n")
