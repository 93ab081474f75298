"""Who comes to the API with a token that does not count is turned away, and that is recorded, within measure."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from billing.token_digests import start_of
from tests.billing.people import events, outcomes
from tests.cards import NUMBERS
from tests.factories import make_user
from vault.audit import ledger
from vault.exceptions import AuditUnavailable
from vault.redaction import redact

pytestmark = pytest.mark.django_db
WRONG = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def nothing_before():
    cache.clear()


def ask(token, source="192.0.2.7"):
    headers = {"HTTP_AUTHORIZATION": f"Token {token}", "REMOTE_ADDR": source}
    return APIClient().get("/api/v1/orders/", **headers)


def test_a_wrong_token_is_an_event_without_the_token():
    assert ask(WRONG).status_code == 401
    (event,) = events("api.sign_in")
    assert (event.outcome, event.actor, event.source) == ("denied", "anonymous", "192.0.2.7")
    assert set(event.details) == {"token_digest"}
    assert WRONG[:8] not in repr(event.details)


@pytest.mark.parametrize("how", ["expired", "inactive"])
def test_one_that_counts_no_more_is_told_by_its_digest(how):
    user = make_user("shop", is_active=how != "inactive")
    issued, token = AuthToken.objects.create(user)
    if how == "expired":
        AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert ask(token).status_code == 401
    (event,) = events("api.sign_in")
    assert event.details == {"token_digest": start_of(issued.digest)}


def test_a_digest_of_digits_alone_is_not_masked():
    digits = NUMBERS["visa"][0] * 8
    assert redact(start_of(digits)) == start_of(digits)
    assert redact(digits[:16]) != digits[:16]


def test_one_that_counts_is_none():
    _, token = AuthToken.objects.create(make_user("shop", "vault.view_card", "orders.view_order"))
    assert ask(token).status_code == 200
    assert not events("api.sign_in")


def test_junk_does_not_flood_the_log():
    for _ in range(5):
        ask("junk")
        ask(WRONG)
    ask(WRONG, source="192.0.2.8")
    assert outcomes("api.sign_in") == ["denied", "denied"]


def test_a_card_number_as_a_token_goes_nowhere(canary):
    digits, asked = canary("token"), []
    with connection.execute_wrapper(
        lambda run, sql, params, *more: (asked.append(str(params)), run(sql, params, *more))[1]
    ):
        answer = ask(digits)
    assert answer.status_code == 401
    assert digits[:15] not in "".join(asked)
    (event,) = events("api.sign_in")
    assert event.details == {}


def test_without_an_audit_log_it_is_recorded_when_there_is_one_again(monkeypatch):
    def refuse(*_):
        raise AuditUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(ledger.Ledger, "append", refuse)
        assert ask(WRONG).status_code == 503
    assert ask(WRONG).status_code == 401
    assert outcomes("api.sign_in") == ["denied"]
