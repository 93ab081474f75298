"""Until when a card is kept, and because of what."""

from datetime import UTC, date, datetime

import pytest

from tests.cards import NUMBERS
from vault import cardrows, services
from vault.models import Card
from vault.pan import PAN
from vault.retention import add_months, retention

VISA = PAN(NUMBERS["visa"][0])


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 11, 30), 18, date(2028, 5, 31)),
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2027, 8, 31), 6, date(2028, 2, 29)),
        (date(2026, 1, 15), 12, date(2027, 1, 15)),
        (date(2026, 12, 5), 1, date(2027, 1, 5)),
        (date(2026, 12, 30), 2, date(2027, 2, 28)),
    ],
)
def test_months_end_where_people_expect(day, months, expected):
    assert add_months(day, months) == expected


def test_a_card_is_kept_from_its_expiry_or_else_from_its_last_use(vault_settings):
    noon = datetime(2026, 5, 5, 12, tzinfo=UTC)
    assert retention(expires=date(2027, 1, 31), used_at=noon) == {
        "retain_until": date(2028, 7, 31),
        "retention": Card.Retention.EXPIRY,
    }
    assert retention(expires=None, used_at=noon) == {
        "retain_until": date(2029, 5, 5),
        "retention": Card.Retention.LAST_USE,
    }


@pytest.mark.django_db
def test_the_dates_follow_the_card():
    card = services.tokenize(VISA, is_external=False).card
    assert (card.retention, card.is_external) == ("last-use", False)
    Card.objects.update(used_at=datetime(2020, 1, 1, tzinfo=UTC), retain_until=date(2023, 1, 1))
    services.mark_used(card.token)
    assert Card.objects.get().retain_until > date(2028, 1, 1)
    updated = services.tokenize(VISA, expires=date(2031, 3, 31))
    assert updated.status == "updated"
    stored = Card.objects.get()
    assert (stored.retention, stored.retain_until, stored.is_external) == ("expiry", date(2032, 9, 30), True)
    assert (updated.card.retain_until, updated.card.is_external) == (stored.retain_until, True)
    assert services.tokenize(VISA, is_external=False).card.is_external is True or Card.objects.get().is_external


@pytest.mark.django_db
@pytest.mark.parametrize("known", [None, date(2029, 1, 31)])
def test_who_knows_no_expiry_keeps_the_one_that_somebody_gives_meanwhile(known, monkeypatch):
    services.tokenize(VISA, expires=known)
    real = cardrows.retention

    def slow(**arguments):
        monkeypatch.setattr(cardrows, "retention", real)
        services.tokenize(VISA, expires=date(2031, 3, 31))
        return real(**arguments)

    monkeypatch.setattr(cardrows, "retention", slow)
    again = services.tokenize(VISA)
    stored = Card.objects.get()
    assert stored.expires == again.card.expires == date(2031, 3, 31)
    assert (stored.retention, stored.retain_until) == ("expiry", date(2032, 9, 30))
