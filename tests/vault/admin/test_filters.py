"""By what the list of cards is narrowed down."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_card, make_user
from tests.vault.admin.visitors import signed_in
from vault.models import Card

pytestmark = pytest.mark.django_db
CARDS = "/admin/vault/card/"


@pytest.fixture
def clerk():
    return signed_in(make_user("clerk", "vault.view_card", is_staff=True))


def make(canary, **columns):
    card = make_card(canary("card"))
    Card.objects.filter(pk=card.pk).update(**columns)
    return card.token


DAYS = {"over": -1, "today": 0, "a month": 30, "two": 31, "three": 90, "later": 91}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("expired", {"over"}),
        ("30", {"today", "a month"}),
        ("60", {"today", "a month", "two"}),
        ("90", {"today", "a month", "two", "three"}),
        ("later", {"later"}),
        ("unknown", {"never said"}),
        ("nonsense", {*DAYS, "never said"}),
    ],
)
def test_by_expiry(clerk, canary, wire, value, names):
    today = timezone.localdate()
    tokens = {name: make(canary, expires=today + timedelta(days=days)) for name, days in DAYS.items()}
    tokens["never said"] = make(canary)
    wire.calls.clear()
    page = clerk.get(CARDS, {"expiry": value}).text
    assert {name for name, token in tokens.items() if token in page} == names
    assert not wire.calls


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("overdue", {"overdue"}),
        ("hold", {"held"}),
        ("erased", {"erased"}),
        ("x", {"kept", "overdue", "held", "erased"}),
    ],
)
def test_by_what_keeps_it(clerk, canary, value, names):
    long_ago = timezone.localdate() - timedelta(days=1)
    tokens = {
        "kept": make(canary, retain_until=timezone.localdate()),
        "overdue": make(canary, retain_until=long_ago),
        "held": make(canary, hold="Court order"),
        "erased": make(canary, status="erased", retain_until=long_ago, hold=""),
    }
    page = clerk.get(CARDS, {"keeping": value}).text
    assert {name for name, token in tokens.items() if token in page} == names
