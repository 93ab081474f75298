"""Cards and orders that are there before schemathesis begins, and how its requests come to be about them."""

import zlib

from orders.models import Order
from tests.cards import NUMBERS
from tests.factories import make_card, make_order, make_saved_card
from vault.models import Card


class Stock:
    """An account's own orders, somebody else's, and cards. Anonymous callers have none of their own."""

    def __init__(self, account, other) -> None:
        first, *digits = [numbers[0] for numbers in NUMBERS.values()]
        self.tokens = [str(make_card(each).token) for each in digits]
        # Erasures take these, so that there is always something left to be read.
        self.doomed = [str(make_card(each).token) for each in NUMBERS["visa"][1:3]]
        self.orders = []
        for owner in filter(None, (account, other)):
            saved = make_saved_card(owner, first)
            self.payable = [str(saved.token), self.tokens[0]]
            self.orders += [make_order(owner, saved.token).public_id for _ in range(5)]

    def fill(self, case) -> None:
        """Let a request for a thing that is nowhere be about one that is here. Which one is chosen by what stood there."""
        path = case.path_parameters or {}
        if "token" in path and not Card.objects.filter(token=path["token"]).exists():
            path["token"] = _choose(self.doomed if case.method == "DELETE" else self.tokens, path["token"])
        if "public_id" in path and not Order.objects.filter(public_id=path["public_id"]).exists():
            path["public_id"] = _choose(self.orders, path["public_id"])
        if "If-Match" in (case.headers or {}):
            # Hardly any text is the ETag of something. This one is that of anything (RFC 9110, 13.1.1).
            case.headers["If-Match"] = _choose(["*", case.headers["If-Match"]], case.headers["If-Match"])
        if isinstance(case.body, dict):
            self._fill_body(case.body)

    def _fill_body(self, body) -> None:
        if isinstance(body.get("token"), str):
            body["token"] = _choose(self.payable, body["token"])
        if isinstance(body.get("tokens"), list):
            body["tokens"] = [_choose(self.tokens, each) for each in body["tokens"]]
        if "purpose" in body:
            # Of another project are other purposes, and without a reason nothing is read.
            body["purpose"] = _choose(["settlement", "refund"], body["purpose"])
            body["reason"] = body.get("reason") or "As the customer asked."


def _choose(stock, generated):
    return stock[zlib.crc32(str(generated).encode("utf-8", "surrogatepass")) % len(stock)]
