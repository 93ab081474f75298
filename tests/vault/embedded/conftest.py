import pytest

from tests.vault.embedded import sessions


@pytest.fixture(autouse=True)
def vault_settings():
    """These tests stand below the vault: no settings, no provisioned vault."""


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "vault"


@pytest.fixture
def session(directory):
    return sessions.embedded_session(directory)


@pytest.fixture
def dynamodb(session):
    client = session.client("dynamodb")
    sessions.create_table(client)
    return client


@pytest.fixture
def kms(session):
    return session.client("kms")


@pytest.fixture
def key_id(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]
