import io
import logging

import pytest
import sentry_sdk
from allauth.mfa.models import Authenticator
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from billing import start
from billing.checks import (
    E_COOKIES,
    E_DEBUG,
    E_SECRET_KEY,
    E_SURFACES,
    W_CRASH_REPORTS,
    W_DEMO,
    W_FRESH,
    W_IDLE,
    W_NO_FACTOR,
    W_ONE_TIER,
    W_SECOND_FACTOR,
    W_UNREDACTED,
    check_accounts,
    check_logs,
    check_production,
    check_sign_in,
    check_surfaces,
    check_tiers,
)
from billing.settings import base
from tests.factories import make_user
from vault.redaction import RedactingFilter
from vault.stdout import StdoutHandler


@pytest.mark.parametrize(
    ("required", "seconds", "found"),
    [(True, 900, []), (False, 900, [W_SECOND_FACTOR]), (True, 901, [W_IDLE])],
    ids=["right", "no second factor", "too long"],
)
def test_what_must_not_be_used_with_real_cards_is_found(settings, required, seconds, found):
    settings.STAFF_MFA_REQUIRED, settings.STAFF_IDLE_SECONDS = required, seconds
    assert check_sign_in(None) == found


@pytest.mark.parametrize(("seconds", "found"), [(900, []), (901, [W_FRESH])])
def test_an_identity_is_confirmed_for_a_while_only(settings, seconds, found):
    settings.STAFF_MFA_REQUIRED, settings.IDENTITY_FRESH_SECONDS = True, seconds
    assert check_sign_in(None) == found


SURFACES = [
    ([], [E_SURFACES], []),
    (["web", "pages"], [E_SURFACES], []),
    (["Web"], [E_SURFACES], []),
    (["web"], [], []),
    (["api"], [], []),
    (["api", "admin"], [], []),
    (["web", "api"], [], [W_ONE_TIER]),
    (["web", "admin"], [], [W_ONE_TIER]),
    (["web", "api", "admin"], [], [W_ONE_TIER]),
]


@pytest.mark.parametrize(("surfaces", "errors", "warnings"), SURFACES, ids=[",".join(row[0]) for row in SURFACES])
def test_surfaces_are_known_and_keep_customers_apart_from_whoever_reads_cards(settings, surfaces, errors, warnings):
    settings.SURFACES = surfaces
    assert check_surfaces(None) == errors
    assert check_tiers(None) == warnings


def test_a_mail_server_that_does_not_answer_is_not_waited_for():
    assert base.EMAIL_TIMEOUT == 5


# --- What must never be where real cards are -----------------------------------------------------------------------

SECRET = "n5Qm-3vXk_ZpTt8LrWcYb2DfHsJgEaUe7KyNxMwBvPqRz1o"
SAFE = {
    "SECRET_KEY": f"{SECRET}0123",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
}


@pytest.fixture
def real_cards(settings):
    settings.VAULT = settings.VAULT | {"EMBEDDED_ALLOWED": False}
    for name, value in SAFE.items():
        setattr(settings, name, value)
    return settings


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("DEBUG", False, []),
        ("DEBUG", True, [E_DEBUG]),
        ("SECRET_KEY", SECRET, [E_SECRET_KEY]),
        ("SECRET_KEY", "x" * 60, [E_SECRET_KEY]),
        ("SECRET_KEY", f"django-insecure-{SECRET}", [E_SECRET_KEY]),
        ("SESSION_COOKIE_SECURE", False, [E_COOKIES]),
        ("SESSION_COOKIE_HTTPONLY", False, [E_COOKIES]),
        ("SESSION_COOKIE_SAMESITE", "None", [E_COOKIES]),
        ("SESSION_COOKIE_SAMESITE", False, [E_COOKIES]),
        ("CSRF_COOKIE_SECURE", False, [E_COOKIES]),
        ("CSRF_COOKIE_SAMESITE", None, [E_COOKIES]),
    ],
)
def test_what_must_never_be_is_an_error_where_real_cards_are(real_cards, name, value, found):
    setattr(real_cards, name, value)
    assert check_production(None) == found
    real_cards.VAULT = real_cards.VAULT | {"EMBEDDED_ALLOWED": True}
    assert check_production(None) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"DEBUG": True}, "billing.E001: DEBUG is on"),
        ({"SILENCED_SYSTEM_CHECKS": ["billing.E001"], "DEBUG": True}, "billing.E001"),
        ({"SECRET_KEY": "x"}, "billing.E002"),
        ({"CSRF_COOKIE_SECURE": False}, "billing.E003"),
        ({}, "vault.E002"),
    ],
)
def test_a_server_does_not_start_with_it(real_cards, change, said):
    """The vault of the tests is embedded: that alone is refused, too."""
    for name, value in change.items():
        setattr(real_cards, name, value)
    with pytest.raises(ImproperlyConfigured, match=start.REFUSED) as refused:
        start.refuse_unsafe()
    assert said in str(refused.value)


def test_a_laptop_starts_with_it(settings):
    settings.DEBUG = True
    start.refuse_unsafe()


# --- Logs ----------------------------------------------------------------------------------------------------------


def found_in_logs(monkeypatch):
    """What is found, but for the handlers that pytest has put on loggers for this very test."""
    with monkeypatch.context() as patch:
        for logger in (logging.root, logging.getLogger("vault.audit")):
            own = [each for each in logger.handlers if not type(each).__module__.startswith("_pytest")]
            patch.setattr(logger, "handlers", own)
        # Imports put one there: that of Sentry, which `crash_reports.start` takes away, and of a library of tests alone.
        for name in ("sentry_sdk.errors", "lark"):
            patch.setattr(logging.getLogger(name), "handlers", [])
        return check_logs(None)


@pytest.mark.parametrize("name", ["", "boto3", "somebody.elses"])
@pytest.mark.parametrize(
    ("handler", "found"),
    [
        (logging.StreamHandler(io.StringIO()), [W_UNREDACTED]),
        (logging.NullHandler(), []),
        (StdoutHandler(), []),
    ],
    ids=["stream", "null", "audit"],
)
def test_a_handler_that_masks_nothing_is_found(monkeypatch, name, handler, found):
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        assert found_in_logs(monkeypatch) == found
    finally:
        logger.removeHandler(handler)
    assert found_in_logs(monkeypatch) == []


def test_a_handler_that_masks_is_none_of_them(monkeypatch):
    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(RedactingFilter())
    logging.root.addHandler(handler)
    found = found_in_logs(monkeypatch)
    logging.root.removeHandler(handler)
    assert found == []


def test_a_client_of_sentry_that_is_not_ours_is_found(monkeypatch):
    client = sentry_sdk.Client("https://key@sentry.example.com/1", default_integrations=False)
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        assert found_in_logs(monkeypatch) == [W_CRASH_REPORTS]
    assert found_in_logs(monkeypatch) == []


# --- Accounts ------------------------------------------------------------------------------------------------------


def found_among_accounts():
    return [(each.id, each.obj) for each in check_accounts(None, databases=["default"])]


@pytest.mark.django_db
def test_staff_without_a_second_factor_are_counted_and_not_named():
    make_user("one", is_staff=True)
    make_user("two", is_superuser=True)
    make_user("gone", is_staff=True, is_active=False)
    make_user("buyer")
    with_app = make_user("careful", is_staff=True)
    Authenticator.objects.create(user=with_app, type=Authenticator.Type.TOTP, data={})
    (said,) = check_accounts(None, databases=["default"])
    assert (said.id, said.msg, said.obj) == (W_NO_FACTOR.id, W_NO_FACTOR.msg, "2 of them")


@pytest.mark.django_db
def test_recovery_codes_alone_are_no_second_factor():
    user = make_user("one", is_staff=True)
    Authenticator.objects.create(user=user, type=Authenticator.Type.RECOVERY_CODES, data={})
    assert found_among_accounts() == [(W_NO_FACTOR.id, "1 of them")]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["customer", "staff"])
def test_people_of_the_demo_are_found(name):
    make_user(name)
    assert found_among_accounts() == [(W_DEMO.id, None)]


@pytest.mark.django_db
def test_other_people_are_no_finding():
    make_user("somebody")
    assert found_among_accounts() == []


@pytest.mark.django_db
def test_the_command_finds_them_and_names_nobody(capsys):
    make_user("staff", is_staff=True)
    call_command("check", deploy=True, databases=["default"], tags=["database"], fail_level="ERROR")
    said = capsys.readouterr().err
    assert f"1 of them: ({W_NO_FACTOR.id})" in said
    assert W_DEMO.id in said
    assert "staff@" not in said
    call_command("check", deploy=True, tags=["database"])
    assert capsys.readouterr().err == ""


def test_without_a_database_to_look_at_accounts_are_not_looked_at():
    assert check_accounts(None, databases=None) == []
    assert check_accounts(None, databases=["audit"]) == []


@pytest.mark.django_db
def test_a_database_that_is_in_order_is_no_finding():
    # On MySQL three constraints of allauth would be: see settings.SILENCED_SYSTEM_CHECKS.
    found = run_checks(databases=["default", "audit"])
    # The models of the tests have findings of the vault's own.
    assert [each for each in found if not each.is_silenced() and not each.id.startswith("vault.")] == []
