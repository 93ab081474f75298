import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.vaults import SETTINGS
from vault.conf import DEVELOPMENT_KEY_REFUSED, EMULATOR_REFUSED, Backend, Materials, VaultConfig, vault_config

GOOD = SETTINGS | {"BACKEND": "aws"}


def test_settings_are_typed():
    config = VaultConfig.from_settings(GOOD | {"MATERIALS": "reused", "READ_TIMEOUT": "2.5"})
    assert (config.BACKEND, config.MATERIALS, config.READ_TIMEOUT) == (Backend.AWS, Materials.REUSED, 2.5)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"TABEL": "x"}, id="unknown-key"),
        pytest.param({"TABLE": ""}, id="missing"),
        pytest.param({"BACKEND": "azure"}, id="unknown-backend"),
        pytest.param({"MATERIALS": "none"}, id="unknown-materials"),
        pytest.param({"READ_TIMEOUT": 0}, id="no-time"),
        pytest.param({"READ_TIMEOUT": "soon"}, id="no-number"),
        pytest.param({"CALLS_AT_ONCE": -1}, id="fewer-calls-than-none"),
        pytest.param({"CALLS_AT_ONCE": "many"}, id="no-number-of-calls"),
        pytest.param({"CALLS_AT_ONCE": ""}, id="no-calls"),
        pytest.param({"CARD_KEY": GOOD["FINGERPRINT_KEY"]}, id="one-key-for-both"),
        pytest.param({"CARD_KEY": "arn:aws:kms:us-east-1:1:key/k"}, id="key-of-another-region"),
        pytest.param({"BACKEND": "embedded", "EMBEDDED_ALLOWED": False}, id="embedded-in-production"),
    ],
)
def test_what_cannot_work_is_refused(change):
    with pytest.raises(ImproperlyConfigured):
        VaultConfig.from_settings(GOOD | change)


def test_calls_at_once_may_be_without_a_limit():
    assert VaultConfig.from_settings(GOOD | {"CALLS_AT_ONCE": "0"}).CALLS_AT_ONCE == 0
    assert VaultConfig.from_settings(GOOD | {"CALLS_AT_ONCE": "3"}).CALLS_AT_ONCE == 3


def test_per_item_keys_are_the_default():
    assert VaultConfig.from_settings(GOOD).MATERIALS is Materials.PER_ITEM


def test_settings_are_read_when_asked_for(settings):
    settings.VAULT = GOOD | {"TABLE": "another"}
    assert vault_config().TABLE == "another"


def test_what_somebody_changes_in_place_is_seen(settings):
    settings.VAULT = GOOD | {"PURPOSE_RULES": {}, "PURPOSES": ["refund"]}
    before = vault_config()
    settings.VAULT["PURPOSES"].append("dispute")
    assert (before.PURPOSES, vault_config().PURPOSES) == (("refund",), ("refund", "dispute"))


def test_settings_are_read_once():
    assert vault_config() is vault_config()


def test_a_key_of_the_same_region_is_accepted():
    assert VaultConfig.from_settings(GOOD | {"CARD_KEY": "arn:aws:kms:eu-central-1:1:key/k"}).problem() is None


PRODUCTION = GOOD | {"EMBEDDED_ALLOWED": False}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://kms.eu-central-1.amazonaws.com",
        "https://vpce-1-a.kms.eu-central-1.vpce.amazonaws.com",
        "https://kms.eu-central-1.api.aws/",
    ],
)
def test_where_real_cards_are_aws_answers(url):
    assert url == VaultConfig.from_settings(PRODUCTION | {"ENDPOINT_URL": url}).ENDPOINT_URL


@pytest.mark.parametrize(
    "url",
    [
        "http://kms.eu-central-1.amazonaws.com",
        "http://127.0.0.1:5000",
        "https://127.0.0.1:4566",
        "https://localhost.localstack.cloud:4566",
        "https://localstack:4566",
        "https://evilamazonaws.com",
        "https://kms.amazonaws.com.example.com",
        "https://example.com/.amazonaws.com",
        "https://.amazonaws.com@example.com",
        "kms.eu-central-1.amazonaws.com",
    ],
)
def test_where_real_cards_are_nothing_else_answers(url):
    with pytest.raises(ImproperlyConfigured, match=re.escape(EMULATOR_REFUSED)):
        VaultConfig.from_settings(PRODUCTION | {"ENDPOINT_URL": url})
    assert url == VaultConfig.from_settings(GOOD | {"ENDPOINT_URL": url}).ENDPOINT_URL


@pytest.mark.parametrize("name", ["CARD_KEY", "FINGERPRINT_KEY", "AUDIT_KEY", "CERTIFICATE_KEY"])
@pytest.mark.parametrize("account", ["000000000000", "123456789012", "111122223333"])
def test_where_real_cards_are_no_key_is_of_an_emulator(name, account):
    key = f"arn:aws:kms:eu-central-1:{account}:key/k"
    with pytest.raises(ImproperlyConfigured, match=re.escape(DEVELOPMENT_KEY_REFUSED)):
        VaultConfig.from_settings(PRODUCTION | {name: key})
    assert VaultConfig.from_settings(GOOD | {name: key}).problem() is None
