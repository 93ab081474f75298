import logging

import pytest
from django.apps.registry import Apps
from django.core.checks import run_checks
from django.db import models

from tests.shop.models import Purchase, Wallet
from tests.vaults import SETTINGS
from vault import checks
from vault.fields import PANField, PANQuerySet

GOOD = SETTINGS | {"BACKEND": "aws", "REVEAL_APPROVAL": True, "ALARM_EMAILS": ["security@example.com"]}


@pytest.fixture(autouse=True)
def no_mysql(settings, monkeypatch):
    """The private server of the test run has no TLS, and is not what is judged here."""
    for alias in ("default", "audit"):
        monkeypatch.setitem(settings.DATABASES[alias], "ENGINE", "django.db.backends.sqlite3")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({}, [], id="good"),
        pytest.param({"BACKEND": "embedded", "EMBEDDED_ALLOWED": False}, [checks.E_EMBEDDED], id="embedded"),
        *(
            pytest.param({"ENDPOINT_URL": url, "EMBEDDED_ALLOWED": False}, [checks.E_EMULATOR], id=url)
            for url in (
                "http://vpce-1.kms.eu-central-1.vpce.amazonaws.com",
                "https://localhost:4566",
                "https://127.0.0.1:5000",
                "https://[::1]:5000",
                "https://moto:5000",
                "https://aws.localhost",
                "https://[",
                "vpce-1.kms.eu-central-1.vpce.amazonaws.com",
            )
        ),
        pytest.param(
            {"ENDPOINT_URL": "https://vpce-1.kms.eu-central-1.vpce.amazonaws.com", "EMBEDDED_ALLOWED": False},
            [],
            id="endpoint",
        ),
        pytest.param({"ENDPOINT_URL": "http://127.0.0.1:5000"}, [], id="emulator-on-a-laptop"),
        pytest.param(
            {"AUDIT_KEY": "arn:aws:kms:eu-central-1:000000000000:key/k", "EMBEDDED_ALLOWED": False},
            [checks.E_DEVELOPMENT_KEY],
            id="development-key",
        ),
        pytest.param({"CARD_KEY": "arn:aws:kms:us-east-1:1:key/k"}, [checks.E_REGION], id="region"),
        pytest.param({"CARD_KEY": GOOD["FINGERPRINT_KEY"]}, [checks.E_ONE_KEY], id="one-key"),
        pytest.param(
            {"TABEL": "x"},
            [checks.about(checks.E_SETTINGS, None, hint="settings.VAULT has unknown keys: TABEL.")],
            id="unknown",
        ),
    ],
)
def test_settings_that_the_vault_would_refuse(settings, change, found):
    settings.VAULT = GOOD | change
    assert checks.check_settings(None) == found


def test_the_audit_log_needs_a_connection_of_its_own(settings):
    settings.VAULT = GOOD | {"AUDIT_DATABASE": "default"}
    assert checks.check_settings(None) == [checks.E_AUDIT_DATABASE]
    settings.VAULT = GOOD | {"AUDIT_DATABASE": "nowhere"}
    assert checks.check_settings(None) == [checks.E_AUDIT_DATABASE]


def test_an_audit_event_must_not_wait_for_the_end_of_a_request(settings, monkeypatch):
    settings.VAULT = GOOD
    monkeypatch.setitem(settings.DATABASES["audit"], "ATOMIC_REQUESTS", True)
    assert checks.check_settings(None) == [checks.E_AUDIT_DATABASE]


def test_audit_events_must_be_routed(settings, monkeypatch):
    from django.db import router

    settings.VAULT = GOOD
    monkeypatch.setattr(router, "routers", [])
    assert checks.check_settings(None) == [checks.E_AUDIT_ROUTER]


def test_whoever_confirms_an_identity_must_be_there(settings):
    settings.VAULT = GOOD | {"CONFIRM_IDENTITY": "billing.nowhere.confirm"}
    assert checks.check_settings(None) == [checks.E_CONFIRM_IDENTITY]


def test_a_sound_deployment_has_no_warning(settings):
    settings.VAULT = GOOD
    assert checks.check_deployment(None) == []


def test_an_emulator_endpoint_is_warned_of(settings):
    settings.VAULT = GOOD | {"ENDPOINT_URL": "http://127.0.0.1:5000"}
    assert checks.check_deployment(None) == [checks.W_ENDPOINT]


TLS = {"ssl": {"ca": "/etc/ssl/rds.pem"}, "ssl_mode": "VERIFY_IDENTITY"}


@pytest.mark.parametrize("alias", ["default", "audit"])
@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param(TLS, [], id="verified"),
        pytest.param({}, [checks.W_DATABASE_TLS], id="nothing"),
        pytest.param({"ssl": TLS["ssl"]}, [checks.W_DATABASE_TLS], id="anybody's certificate"),
        pytest.param(TLS | {"ssl_mode": "REQUIRED"}, [checks.W_DATABASE_TLS], id="any certificate"),
        pytest.param(TLS | {"ssl": {}}, [checks.W_DATABASE_TLS], id="no authority"),
    ],
)
def test_mysql_without_verified_tls_is_warned_of(settings, monkeypatch, alias, options, found):
    settings.VAULT = GOOD
    changed = {"ENGINE": "django.db.backends.mysql", "OPTIONS": options}
    monkeypatch.setitem(settings.DATABASES, alias, settings.DATABASES[alias] | changed)
    assert checks.check_deployment(None) == found


@pytest.mark.parametrize("name", ["botocore", "botocore.auth", "urllib3.connectionpool", "django.db.backends", "boto3"])
def test_loggers_that_print_data_keys_are_warned_of(settings, name):
    settings.VAULT = GOOD
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        assert checks.check_deployment(None) == [checks.W_DEBUG_LOGS]
    finally:
        logger.setLevel(level)


def test_a_parent_that_is_open_is_warned_of(settings):
    settings.VAULT = GOOD
    logger, level = logging.getLogger("botocore"), logging.getLogger("botocore").level
    logger.setLevel(logging.NOTSET)
    try:
        # The leak scanner has opened the root.
        assert checks.check_deployment(None) == [checks.W_DEBUG_LOGS]
    finally:
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"REVEAL_APPROVAL": False}, [checks.W_ONE_PERSON]),
        ({"ALARM_EMAILS": []}, [checks.W_NOBODY_TOLD]),
    ],
    ids=["four-eyes", "nobody-told"],
)
def test_what_leaves_one_person_alone_with_numbers_is_warned_of(settings, change, found):
    settings.VAULT = GOOD | change
    assert checks.check_deployment(None) == found


def test_the_project_is_clean():
    found = [message for message in run_checks() if message.id.startswith("vault.")]
    # Wallet is the model that does without PANQuerySet.
    assert {(message.id, message.obj.model) for message in found} == {("vault.W101", Wallet)}


def declare(**fields):
    registry = Apps()
    meta = type("Meta", (), {"app_label": "shop", "apps": registry})
    body = {"Meta": meta, "__module__": __name__, "objects": PANQuerySet.as_manager(), **fields}
    return type("Declared", (models.Model,), body)


@pytest.mark.parametrize(
    ("field", "ids"),
    [
        pytest.param(PANField, [], id="smallest"),
        pytest.param(lambda: PANField(brand_field="nowhere"), ["vault.E101"], id="no-such-field"),
        pytest.param(lambda: PANField(last4_field="number"), ["vault.E101"], id="not-a-char-field"),
        pytest.param(lambda: PANField(blank=True), ["vault.E102"], id="blank-without-null"),
        pytest.param(lambda: PANField(default="x"), ["vault.E103"], id="default"),
        pytest.param(lambda: PANField(choices=[("a", "b")]), ["vault.E103"], id="choices"),
        pytest.param(lambda: PANField(max_length=19), ["vault.E103"], id="max-length"),
    ],
)
def test_field_options_that_cannot_work(field, ids):
    declared = declare(number=models.IntegerField(), card=field())
    assert [message.id for message in declared._meta.get_field("card").check()] == ids


def test_the_shop_models_are_sound():
    assert Purchase._meta.get_field("card").check() == []
