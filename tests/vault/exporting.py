"""Four people and a request to export cards."""

import pytest

from tests.factories import make_card, make_user, next_year
from tests.vault.admin.identity import FRESH
from tests.vault.recipients import public_pem
from vault import exports
from vault.envelopes import RecipientKey
from vault.models import Card
from vault.purposes import Purpose
from vault.tokens import Token

KIND = "p-256"
PURPOSE = Purpose("settlement", "change of provider")


def ask(actor, tokens=None, *, kind=KIND):
    return exports.request(
        actor=actor,
        recipient="Acquirer B",
        key=RecipientKey.parse(public_pem(kind)),
        purpose=PURPOSE,
        ticket="OPS-7",
        tokens=None if tokens is None else [Token(token) for token in tokens],
    )


@pytest.fixture(autouse=True)
def configured(settings):
    settings.VAULT = settings.VAULT | {"CONFIRM_IDENTITY": FRESH, "ALARM_EMAILS": ["alarm@example.com"]}


@pytest.fixture
def ada():
    """Asks."""
    return make_user("ada", "vault.request_export", is_staff=True)


@pytest.fixture
def bob():
    return make_user("bob", "vault.approve_export", is_staff=True)


@pytest.fixture
def cleo():
    return make_user("cleo", "vault.approve_export", is_staff=True)


@pytest.fixture
def digits(canary):
    return [canary(f"card {number}") for number in range(5)]


@pytest.fixture
def kept(wire, digits):
    """Cards in the vault by token; of the first the expiry is known."""
    cards = [make_card(number) for number in digits]
    Card.objects.filter(pk=cards[0].pk).update(expires=next_year())
    return {card.token: number for card, number in zip(cards, digits, strict=True)}


@pytest.fixture
def asked(kept, ada):
    return ask(ada)


@pytest.fixture
def approved(asked, bob, cleo):
    exports.approve(asked, actor=bob)
    exports.approve(asked, actor=cleo)
    return asked
