"""Rows from before there was a vault."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.leaks import Scanner, sinks
from tests.leaks.canaries import Mint
from tests.shop.models import Invoice


class Before:
    """Writes rows as they were written before. A number is watched from the moment that it is in its old column.

    So the statements of an adoption are searched for it, and the INSERT that put it there is not. The old column alone
    may hold it; `stays` says so, where a test leaves it there.
    """

    def __init__(self, leaks, seed):
        self._leaks = leaks
        self._mint = Mint(f"before {seed}")

    def number(self):
        return self._mint.draw()

    def row(self, model=Invoice, *, number=None, text=None, stays=True, **fields):
        number = number or self._mint.draw()
        name = "card_number" if issubclass(model, Invoice) else "number"
        row = model(**{name: text or number}, **fields)
        with self._unheard():
            row.save(force_insert=True)
        self._watch(number, stays=stays)
        return row, number

    def change(self, row, number, *, stays=True):
        """As old code does, which knows the old column alone."""
        with self._unheard():
            Invoice._base_manager.filter(pk=row.pk).update(card_number=number)
        self._watch(number, stays=stays)

    @staticmethod
    def _unheard():
        return sinks.feeding(Scanner("statements of before"))

    def _watch(self, number, *, stays):
        self._leaks.watch(number, label="old column")
        if stays:
            self._leaks.allow("old column", sink="table", reason="The old column is there until it is wiped.")


@pytest.fixture
def before(leaks, request) -> Before:
    return Before(leaks, request.node.nodeid)


@pytest.fixture
def adopt():
    """Run the command: `adopt("--check")` gives its exit code and its JSON report."""

    def run(*arguments, column="shop.Invoice.card_number"):
        output = StringIO()
        try:
            call_command("vault_adopt", column, *arguments, "--format", "json", stdout=output)
        except CommandError as error:
            return error.returncode, json.loads(output.getvalue() or "null") or str(error)
        return 0, json.loads(output.getvalue())

    return run
