"""Vaults for tests: an embedded one for every test, and moto where a contract is held against both."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore.loaders import create_loader
from moto import mock_aws

from vault.audit import ledger
from vault.backend import Vault, _vaults, current_vault
from vault.conf import VaultConfig
from vault.provisioning import Provisioner

# Each test has a session of its own; the models of the services, megabytes of JSON, are read once for all.
botocore.session.create_loader = cache(create_loader)

SETTINGS = {
    "REGION": "eu-central-1",
    "TABLE": "vault-test",
    "CARD_KEY": "alias/test-card",
    "FINGERPRINT_KEY": "alias/test-fingerprint",
    "AUDIT_KEY": "alias/test-audit",
    "CERTIFICATE_KEY": "alias/test-certificate",
    "REVEAL_APPROVAL": False,
    "PURPOSES": ["settlement", "refund"],
    "EMBEDDED_ALLOWED": True,
}


def provision(vault: Vault, **options) -> list:
    """Run the provisioner over a vault and return the changes it made."""
    provisioner = Provisioner(
        config=vault.config,
        dynamodb=vault.session.dynamodb(),
        kms=vault.session.kms(),
        fingerprint_keys=vault.fingerprint_keys,
        **options,
    )
    return list(provisioner.run())


@pytest.fixture(scope="session")
def provisioned_folder(tmp_path_factory) -> Path:
    """The folder of a provisioned embedded vault; each test works on a copy of it."""
    folder = tmp_path_factory.mktemp("vault-template") / "vault"
    fill(folder)
    return folder


def fill(folder: Path) -> None:
    """Make a provisioned embedded vault in `folder`."""
    provision(Vault(VaultConfig.from_settings(SETTINGS | {"BACKEND": "embedded", "EMBEDDED_DIR": str(folder)})))
    # All of it into the main file: the log beside it goes when the engine lets go of its connection, at any time.
    with closing(sqlite3.connect(folder / "aws.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(autouse=True)
def vault_settings(settings, provisioned_folder, tmp_path_factory) -> Iterator[dict]:
    """`settings.VAULT` points at a fresh provisioned vault of this test's own."""
    folder = tmp_path_factory.mktemp("vault") / "vault"
    shutil.copytree(provisioned_folder, folder, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    settings.VAULT = SETTINGS | {"BACKEND": "embedded", "EMBEDDED_DIR": str(folder)}
    yield settings.VAULT
    _vaults.clear()
    # The next test has an empty audit log, in which branches of this one would begin with nothing.
    ledger.forget()


@pytest.fixture
def vault(vault_settings) -> Vault:
    """The vault that the application uses in this test."""
    return current_vault()


@pytest.fixture(params=["embedded", "moto"])
def any_vault(request, settings, vault_settings, monkeypatch) -> Iterator[Vault]:
    """The same vault answered by the embedded engine and by moto."""
    if request.param == "embedded":
        yield current_vault()
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setitem(os.environ, name, "testing")
    with mock_aws():
        settings.VAULT = SETTINGS | {"BACKEND": "aws"}
        # Not with the clients that the test uses: what listens to a session hears those that are built after it.
        provision(Vault(current_vault().config))
        yield current_vault()
