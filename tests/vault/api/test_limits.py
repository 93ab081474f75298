"""How much an account may do within a minute."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.exceptions import Throttled

from tests.factories import client_of, make_user
from vault.api import limits
from vault.models import Allowance, Card

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 24, 12, 0, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def few(settings, monkeypatch):
    settings.VAULT = settings.VAULT | {"API_LIMITS": {"tokenize_pan": 3}}
    monkeypatch.setattr(timezone, "now", lambda: NOON)


def test_the_fourth_has_to_wait_for_the_minute_to_end():
    shop = make_user("shop")
    for _ in range(3):
        limits.spend(shop, "tokenize_pan")
    with pytest.raises(Throttled) as refused:
        limits.spend(shop, "tokenize_pan")
    assert refused.value.wait == 45
    assert Allowance.objects.get().spent == 3


def test_the_next_minute_begins_anew(monkeypatch):
    shop = make_user("shop")
    limits.spend(shop, "tokenize_pan", 3)
    monkeypatch.setattr(timezone, "now", lambda: NOON.replace(minute=1))
    limits.spend(shop, "tokenize_pan", 2)
    assert Allowance.objects.get().spent == 2


def test_a_clock_a_little_behind_does_not_begin_the_minute_anew(monkeypatch):
    shop = make_user("shop")
    limits.spend(shop, "tokenize_pan", 3)
    monkeypatch.setattr(timezone, "now", lambda: NOON - timedelta(seconds=20))
    with pytest.raises(Throttled):
        limits.spend(shop, "tokenize_pan")
    assert Allowance.objects.get().minute == NOON.replace(second=0)


def test_a_clock_that_was_an_hour_ahead_locks_nobody_out(monkeypatch):
    shop = make_user("shop")
    limits.spend(shop, "tokenize_pan", 3)
    monkeypatch.setattr(timezone, "now", lambda: NOON - timedelta(hours=1))
    limits.spend(shop, "tokenize_pan")
    assert Allowance.objects.get().spent == 1


def test_head_counts_in_the_limit_of_get(settings):
    settings.VAULT = settings.VAULT | {"API_LIMITS": {"view_order": 2}}
    api = client_of(make_user("shop"))
    answers = [api.head("/api/v1/orders/"), api.get("/api/v1/orders/"), api.head("/api/v1/orders/")]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_each_account_and_each_limit_is_counted_by_itself():
    shop, other = make_user("shop"), make_user("other")
    limits.spend(shop, "tokenize_pan", 3)
    limits.spend(other, "tokenize_pan", 3)
    limits.spend(shop, "search_pan", 3)
    assert Allowance.objects.count() == 3


def test_what_costs_more_than_a_minute_has_needs_a_fresh_one():
    shop = make_user("shop")
    limits.spend(shop, "tokenize_pan", 1000)
    with pytest.raises(Throttled):
        limits.spend(shop, "tokenize_pan")


def test_the_answer_says_when_to_come_again_and_nothing_is_done(canary):
    api = client_of(make_user("shop", "vault.tokenize_pan"))
    answers = [api.post("/api/v1/tokens/", {"pan": canary(f"{number}")}) for number in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert (answers[3]["Retry-After"], answers[3].json()["code"]) == ("45", "throttled")
    assert Card.objects.count() == 3


def test_two_first_requests_at_once_are_both_let_through():
    """The row that the other one makes is there after this one found none to change, and before it looks for one."""
    user, others = make_user("shop"), []

    def meanwhile(execute, sql, params, many, context):
        done = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and not others:
            others.append("a request in another process")
            limits.spend(user, "add_order")
        return done

    with connection.execute_wrapper(meanwhile):
        limits.spend(user, "add_order")
    assert Allowance.objects.get().spent == 2
