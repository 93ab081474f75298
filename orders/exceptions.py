"""The states in which an order is refused. Messages are constants: nothing a caller passed in is part of one."""

from __future__ import annotations

from typing import ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class OrderError(Exception):
    """The order was refused."""

    message: ClassVar[str | Promise]

    def __str__(self) -> str:
        return str(self.message)


class CardExpired(OrderError):
    """The card's last month is over."""

    message = _("This card has expired. Use another one.")


class CardNotAvailable(OrderError):
    """The card is not one that this customer may pay with: unknown, or another customer's. Nobody is told which."""

    message = _("This card is not available.")


class OrderNotCancellable(OrderError):
    """The order is cancelled already."""

    message = _("This order is cancelled already.")
