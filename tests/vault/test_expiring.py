"""`vault_expiring`: which cards on file are over or soon will be."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from vault import services
from vault.models import Card
from vault.pan import PAN

pytestmark = pytest.mark.django_db


@pytest.fixture
def cards(wire, canary):
    """Cards by the days until they expire."""
    today = timezone.localdate()
    days = {"over": -40, "today": 0, "soon": 30, "later": 61, "far": 900}
    made = {
        name: services.tokenize(PAN(canary(name)), expires=today + timedelta(days=ahead)).card
        for name, ahead in days.items()
    }
    made["unknown"] = services.tokenize(PAN(canary("unknown"))).card
    wire.calls.clear()
    return made


def listed(**options):
    out = StringIO()
    call_command("vault_expiring", stdout=out, **options)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("within", "names"),
    [(None, ["over", "today", "soon"]), (0, ["over", "today"]), (61, ["over", "today", "soon", "later"])],
)
def test_it_lists_what_expires_within_so_many_days_the_earliest_first(cards, wire, within, names):
    lines = listed(**({} if within is None else {"within": within}))
    assert [line.split()[0] for line in lines] == [cards[name].token for name in names]
    assert not wire.calls


def test_a_line_has_token_brand_last_four_and_month(cards):
    card = cards["over"]
    assert listed(within=0)[0].split() == [card.token, "visa", card.last4, f"{card.expires:%Y-%m}"]
    assert json.loads(listed(within=0, format="json")[0]) == {
        "token": card.token, "brand": "visa", "last4": card.last4, "expires": f"{card.expires:%Y-%m}",
    }  # fmt: skip


def test_erased_cards_are_not_listed(cards):
    Card.objects.update(status=Card.Status.ERASED)
    assert listed() == []


def test_it_is_one_query(cards, django_assert_num_queries):
    with django_assert_num_queries(1):
        listed(within=100)


@pytest.mark.parametrize("within", [-1, 36_501])
def test_days_that_make_no_sense_are_refused(within):
    with pytest.raises(CommandError):
        listed(within=within)
