"""Who comes to the API with a token that does not count, or not from there, is turned away, and that is recorded."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.test import RequestFactory
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from billing import api_accounts
from billing.authentication import TokenAuthentication
from billing.models import APIAccount, TokenUse
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


def ask(token, source="192.0.2.7", **headers):
    headers = {"HTTP_AUTHORIZATION": f"Token {token}", "REMOTE_ADDR": source} | headers
    return APIClient().get("/api/v1/orders/", **headers)


@pytest.fixture
def shop():
    return make_user("shop", "vault.view_card", "orders.view_order")


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


@pytest.mark.parametrize("how", ["inactive", "deleted", "expired", "staff"])
def test_a_token_is_dead_from_the_next_request_on(shop, how):
    issued, token = AuthToken.objects.create(shop)
    assert ask(token).status_code == 200
    if how == "inactive":
        shop.is_active = False
        shop.save()
    elif how == "staff":
        shop.is_staff = True
        shop.save()
    elif how == "deleted":
        AuthToken.objects.get(pk=issued.pk).delete()
    else:
        AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert ask(token).status_code == 401


def test_whoever_has_a_token_that_does_not_count_learns_nothing_from_the_answer(shop):
    """Known users and good tokens look as those do that were never made."""
    _, elsewhere = AuthToken.objects.create(shop)
    APIAccount.objects.create(user=shop, networks=["10.0.0.0/8"])
    _, inactive = AuthToken.objects.create(make_user("off", is_active=False))
    _, expired = AuthToken.objects.create(make_user("late"), expiry=timedelta(seconds=-1))
    answers = [ask(token) for token in (WRONG, "junk", elsewhere, inactive, expired)]
    assert answers[0].status_code == 401
    said = {(answer.status_code, f"{answer.text} {sorted(answer.items())}", answer["Request-Id"]) for answer in answers}
    assert len({(status, text.replace(request_id, "")) for status, text, request_id in said}) == 1


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer", "Basic", ""])
@pytest.mark.parametrize("separator", ["", " ", "-"])
def test_a_card_number_in_the_header_is_nowhere_afterwards(canary, scheme, separator):
    digits = canary("header")
    written = separator.join(digits[start : start + 4] for start in range(0, len(digits), 4))
    answer = ask("", HTTP_AUTHORIZATION=f"{scheme} {written}".strip())
    assert answer.status_code == 401
    assert digits[:8] not in answer.text


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


# --- From where -------------------------------------------------------------------------------------------------------

INSIDE, OUTSIDE = "10.1.2.3", "192.0.2.7"


@pytest.fixture
def inside(shop):
    """A token that counts in two networks alone."""
    APIAccount.objects.create(user=shop, networks=["10.0.0.0/8", "2001:db8::/32"])
    return AuthToken.objects.create(shop)[1]


@pytest.mark.parametrize(
    ("source", "status"),
    [
        (INSIDE, 200),
        ("2001:db8::7", 200),
        ("::ffff:10.1.2.3", 200),
        ("2001:db8::7%eth0", 200),
        (OUTSIDE, 401),
        ("2001:db9::7", 401),
        ("::ffff:192.0.2.7", 401),
        ("", 401),
        ("unix:", 401),
    ],
)
def test_a_token_counts_in_its_networks(inside, source, status):
    assert ask(inside, source).status_code == status
    assert len(events("api.sign_in")) == (status == 401)
    assert TokenUse.objects.count() == (status == 200)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "source", "status"),
    [
        # Nobody in front is believed: what is written there is anybody's.
        (0, INSIDE, OUTSIDE, 401),
        (0, OUTSIDE, INSIDE, 200),
        # One proxy writes at the end whom it spoke with; what stands before that came with the request.
        (1, INSIDE, OUTSIDE, 200),
        (1, OUTSIDE, INSIDE, 401),
        (1, f"{INSIDE}, {OUTSIDE}", INSIDE, 401),
        (1, f"{OUTSIDE}, {INSIDE}", OUTSIDE, 200),
        (1, f"{INSIDE},", OUTSIDE, 200),
        (1, "junk", INSIDE, 401),
        (1, f"{INSIDE}, junk", INSIDE, 401),
        (1, "::ffff:10.1.2.3", OUTSIDE, 200),
    ],
)
def test_who_says_to_come_from_inside_is_not_believed(inside, settings, proxies, forwarded, source, status):
    settings.TRUSTED_PROXIES = proxies
    assert ask(inside, source, HTTP_X_FORWARDED_FOR=forwarded).status_code == status


def test_whoever_comes_from_elsewhere_is_an_event_of_its_own(inside, shop):
    digest = start_of(shop.auth_token_set.get().digest)
    assert ask(inside, OUTSIDE).status_code == 401
    (event,) = events("api.sign_in")
    assert (event.outcome, event.actor, event.source, event.subject) == ("denied", "anonymous", OUTSIDE, f"user:{shop.pk}")  # fmt: skip
    assert event.details == {"token_digest": digest, "refusal": "network"}


def test_that_is_recorded_within_measure_and_not_hidden_by_junk(inside):
    ask("junk", OUTSIDE)
    for _ in range(4):
        ask(inside, OUTSIDE)
    ask(inside, "192.0.2.8")
    assert [event.details.get("refusal") for event in events("api.sign_in")] == [None, "network", "network"]


def test_the_networks_of_one_account_are_not_those_of_another(inside):
    _, token = AuthToken.objects.create(make_user("other", "vault.view_card", "orders.view_order"))
    assert ask(token, OUTSIDE).status_code == 200


def test_networks_hold_from_the_next_request_on(shop):
    _, token = AuthToken.objects.create(shop)
    assert ask(token, OUTSIDE).status_code == 200
    api_accounts.set_networks(shop, ["10.0.0.0/8"])
    assert ask(token, OUTSIDE).status_code == 401
    api_accounts.set_networks(shop, [])
    assert ask(token, OUTSIDE).status_code == 200


@pytest.mark.parametrize("networks", [["junk"], "junk", ["10.0.0.0/8", "junk"]])
def test_networks_that_somebody_broke_let_nobody_in(shop, networks):
    APIAccount.objects.create(user=shop, networks=networks)
    assert ask(AuthToken.objects.create(shop)[1], INSIDE).status_code == 401


# --- When -------------------------------------------------------------------------------------------------------------


def authenticate(token):
    return TokenAuthentication().authenticate(RequestFactory().get("/", HTTP_AUTHORIZATION=f"Token {token}"))


def is_write(query):
    return query["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}


def test_a_use_is_noted_once_a_minute(shop, django_assert_num_queries):
    issued, token = AuthToken.objects.create(shop)
    before = timezone.now()
    authenticate(token)
    first = TokenUse.objects.get(token=issued).last_used
    assert before <= first <= timezone.now()
    # Token, user, networks and use are one.
    with django_assert_num_queries(1) as asked:
        authenticate(token)
    assert not [query for query in asked.captured_queries if is_write(query)]
    assert TokenUse.objects.get().last_used == first


def test_a_minute_later_it_is_noted_again(shop):
    issued, token = AuthToken.objects.create(shop)
    other = AuthToken.objects.create(shop)[0]
    long_ago = timezone.now() - timedelta(seconds=61)
    TokenUse.objects.bulk_create(TokenUse(token=each, last_used=long_ago) for each in (issued, other))
    authenticate(token)
    assert TokenUse.objects.get(token=issued).last_used > long_ago + timedelta(seconds=60)
    assert TokenUse.objects.get(token=other).last_used == long_ago


def test_of_requests_at_once_one_writes(shop):
    issued, _ = AuthToken.objects.create(shop)
    # As requests that asked before the first one wrote.
    unused, unused_too, long_ago = (api_accounts.find_token(issued.pk) for _ in range(3))
    api_accounts.note_use(unused)
    first = TokenUse.objects.get().last_used
    api_accounts.note_use(unused_too)
    long_ago.use = TokenUse(last_used=first - timedelta(hours=1))
    api_accounts.note_use(long_ago)
    assert TokenUse.objects.get().last_used == first


def test_what_expired_is_deleted_with_the_next_use_of_its_account_that_is_noted(shop):
    _, token = AuthToken.objects.create(shop)
    AuthToken.objects.create(shop, expiry=timedelta(seconds=-1))
    others = AuthToken.objects.create(make_user("other"), expiry=timedelta(seconds=-1))[0]
    assert ask(token).status_code == 200
    assert set(AuthToken.objects.filter(expiry__lt=timezone.now())) == {others}
    assert [event.subject for event in events("token.delete")] == [f"user:{shop.pk}"]


def test_a_use_that_is_noted_while_the_token_goes_does_not_keep_it(shop):
    """Another process may write the row between the deletion of uses and that of the token."""
    issued, token = AuthToken.objects.create(shop)
    use = AuthToken.objects.filter(pk=issued.pk)
    authenticate(token)
    use._raw_delete(use.db)
    assert ask(token).status_code == 401


@pytest.mark.parametrize("kind", ["new", "known"])
def test_a_use_that_cannot_be_noted_turns_nobody_away_and_is_logged(shop, kind, caplog):
    issued, token = AuthToken.objects.create(shop)
    if kind == "known":
        TokenUse.objects.create(token=issued, last_used=timezone.now() - timedelta(hours=1))

    def refuse(run, sql, *more):
        if "billing_tokenuse" in sql and not sql.startswith("SELECT"):
            raise DatabaseError("read-only")
        return run(sql, *more)

    with connection.execute_wrapper(refuse):
        assert authenticate(token)[0] == shop
    assert "could not be noted" in caplog.text
    assert token[:8] not in caplog.text
    assert TokenUse.objects.filter(last_used__gte=timezone.now() - timedelta(minutes=1)).count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_no_writes_turns_nobody_away(shop, caplog):
    _, token = AuthToken.objects.create(shop)
    is_mysql = connection.vendor == "mysql"
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY" if is_mysql else "PRAGMA query_only = ON")
        try:
            assert authenticate(token)[0] == shop
        finally:
            cursor.execute("SET SESSION TRANSACTION READ WRITE" if is_mysql else "PRAGMA query_only = OFF")
    assert "could not be noted" in caplog.text
    assert not TokenUse.objects.exists()
    authenticate(token)
    assert TokenUse.objects.count() == 1
