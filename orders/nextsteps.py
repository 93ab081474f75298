"""What a customer should do next: only what is true at this moment, the most urgent first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from orders.models import SavedCard

#: More at once is a list that nobody works through.
MOST: Final = 3


class Urgency(IntEnum):
    """What comes before what. Those of the account are between those of the orders."""

    CARD_GONE = 1
    CARD_EXPIRED = 2
    EMAIL_UNVERIFIED = 3
    CARD_EXPIRES = 4
    FIRST_ORDER = 5
    SECOND_FACTOR = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: why, and the page where it is done."""

    urgency: Urgency
    reason: str
    action: str
    url: str


def next_steps(customer: User, *, cards: Sequence[SavedCard], has_orders: bool) -> list[Step]:
    """At most three steps, the most urgent first; none if all is well.

    `cards` are all of the customer's, with their state. Of accounts the orders know nothing: the function that
    `settings.ORDERS_ACCOUNT_STEPS` names says what is to be done there.
    """
    of_account: Callable[[User], Iterable[Step]] = import_string(settings.ORDERS_ACCOUNT_STEPS)
    steps = [*_of_cards(cards), *of_account(customer)]
    if not has_orders:
        steps.append(
            Step(
                Urgency.FIRST_ORDER,
                _("You have not ordered anything yet."),
                _("Place your first order"),
                reverse("orders:new"),
            )
        )
    return sorted(steps, key=lambda step: step.urgency)[:MOST]


def _of_cards(cards: Sequence[SavedCard]) -> Iterator[Step]:
    """A step for each state that cards are in. Of a card that is gone it is not said that it has expired as well."""
    gone = [card for card in cards if card.is_card_erased]
    kept = [card for card in cards if not card.is_card_erased]
    if gone:
        reason = _about(
            gone,
            one=_("Your card %(card)s is no longer on file. You cannot pay with it any more."),
            several=_("Several of your cards are no longer on file. You cannot pay with them any more."),
        )
        yield Step(Urgency.CARD_GONE, reason, _("Look at your cards"), reverse("orders:cards"))
    if expired := [card for card in kept if card.is_expired]:
        reason = _about(
            expired,
            one=_("Your card %(card)s has expired. Replace it when you order next."),
            several=_("Several of your cards have expired. Replace them when you order next."),
        )
        yield Step(Urgency.CARD_EXPIRED, reason, _("Order with a new card"), reverse("orders:new"))
    if expiring := [card for card in kept if card.expires_soon]:
        reason = _about(
            expiring,
            one=_("Your card %(card)s expires soon. Replace it as soon as you have the new one."),
            several=_("Several of your cards expire soon. Replace them as soon as you have the new ones."),
        )
        yield Step(Urgency.CARD_EXPIRES, reason, _("Order with a new card"), reverse("orders:new"))


def _about(cards: Sequence[SavedCard], *, one: str, several: str) -> str:
    return several if len(cards) > 1 else one % {"card": cards[0]}
