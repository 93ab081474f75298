"""Carries out a worker's share of a run, and goes on where it was killed.

As callers do, it sends again what was not answered, with the same key, and keeps books: see `tests.accounting.book`.
"""

import argparse
import csv
import io
import json
import os
import random
import sys
import time
from pathlib import Path

from django.core.management import CommandError, call_command
from django.core.wsgi import get_wsgi_application
from django.db import Error as DatabaseError, close_old_connections
from django.test.client import FakePayload, RequestFactory

from orders import savedcards, services as orders
from orders.exceptions import CardExpired, CardNotAvailable, OrderNotCancellable
from orders.models import Order, SavedCard
from tests.accounting import book, faults, people
from tests.accounting.canaries import digits_of
from tests.accounting.operations import PLACING, Operation, draw, share
from tests.factories import last_month, next_year
from vault import services as vault
from vault.backend import current_vault
from vault.exceptions import (
    AccessDenied,
    AuditUnavailable,
    CardErased,
    OnHold,
    TokenNotFound,
    VaultUnavailable,
)
from vault.pan import PAN

ATTEMPTS = 5
# So many orders back a worker looks for one to pay again, to cancel or to read.
RECENT = 60
_REFUSALS = (AccessDenied, CardErased, CardExpired, CardNotAvailable, OnHold, OrderNotCancellable, TokenNotFound)
_UNANSWERED = (AuditUnavailable, DatabaseError, VaultUnavailable)
# Of the API, and worth another try with the same key.
_AGAIN = frozenset({409, 503})
_READING = "settlement: accounts of a run"


class Unanswered(Exception):
    """Nobody knows whether it was carried out."""


class Refused(Exception):
    """It was refused, so nothing may have changed."""


class Wrong(Exception):
    """What must never be answered."""


class Worker:
    """One slot of a run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.slot = options.slot
        self.folder = options.folder
        self._path = self.folder / "books" / f"{self.slot}.jsonl"
        self.entries = book.read(self._path)
        self.book = book.Book(self._path)
        self.faults = faults.Faults(current_vault())
        self._application = get_wsgi_application()
        self._patiently(self._sign_in)

    def _sign_in(self) -> None:
        self.customers = [people.named(f"customer{self.slot}-{number}") for number in range(people.CUSTOMERS)]
        self.service, self.reader, self.staff = map(people.named, (f"service{self.slot}", "reader", "staff"))
        self._token = json.loads((self.folder / "tokens").read_text())[self.slot]

    def _patiently(self, call):
        """Outside of an operation: until the database answers."""
        for _ in range(300):
            try:
                close_old_connections()
                return call()
            except DatabaseError:
                time.sleep(0.2)
        raise Unanswered

    def draw(self, number: int) -> Operation:
        options = self.options
        return draw(options.seed, self.slot, number, workers=options.workers, deaths=options.deaths)

    def run(self) -> None:
        """Everything that is left of the share."""
        entries = self.entries
        last = max(entries, default=-1)
        if last >= 0 and entries[last].state is None:
            self._go_on_with(entries[last])
        for number in range(last + 1, share(self.options.operations, self.slot, self.options.workers)):
            self._begin(self.draw(number))

    def settle(self) -> None:
        """Send half of what is in doubt again, when all is well again; what was begun as a command is finished."""
        for entry in [entry for entry in self.entries.values() if entry.is_open]:
            operation = self.draw(entry.number)
            if operation.kind == "import" or operation.index % 2:
                self._carry_out(operation, entry.intent, rate=0)
            elif entry.state is None:
                self._conclude(operation, book.DOUBTFUL)

    def _go_on_with(self, entry: book.Entry) -> None:
        """A process died over it. Its caller sends it again, or not."""
        operation = self.draw(entry.number)
        # The claim of a request that died lasts longer than a caller waits here.
        if operation.index % 3 or operation.kind in {"import", "rotate"}:
            self._carry_out(operation, entry.intent, rate=faults.RATE)
        else:
            self._conclude(operation, book.DOUBTFUL)

    def _begin(self, operation: Operation) -> None:
        intent = self._patiently(lambda: self._intent(operation))
        if intent is None:
            return
        intent |= {"kind": operation.kind}
        self.book.intend(operation.number, **intent)
        self.entries[operation.number] = book.Entry(operation.number, intent)
        self._carry_out(operation, intent, rate=faults.RATE, is_first=True)

    def _carry_out(self, operation: Operation, intent: dict, *, rate: float, is_first: bool = False) -> None:
        carry_out = getattr(self, f"_{operation.kind.replace(' ', '_')}")
        for attempt in range(ATTEMPTS):
            close_old_connections()
            seed = f"{self.options.seed}/{operation.name}/{attempt}/{is_first}"
            is_storm = is_first and attempt == 0 and operation.storm
            steps = {"dies_at": 0, "cut_at": 0}
            if is_first and attempt == 0:
                steps = {"dies_at": operation.dies_at, "cut_at": operation.cut_at}
            self.faults.begin(seed, rate=1 if is_storm and rate else rate, **steps)
            try:
                result = carry_out(operation, intent)
                if operation.twice and (is_first or not rate):
                    self._compare(result, carry_out(operation, intent))
                self.faults.end()
            except (*_UNANSWERED, Unanswered) as error:
                self._note(operation, error)
                time.sleep(random.uniform(0.05, 0.3) * 2**attempt)  # noqa: S311 - a pause
            except (*_REFUSALS, Refused) as error:
                self._conclude(operation, book.REFUSED, why=_said(error))
                return
            except Wrong as error:
                self._conclude(operation, book.WRONG, what=str(error))
                self._conclude(operation, book.DOUBTFUL)
                return
            except Exception as error:  # noqa: BLE001 - whatever a caller must never see
                # Its message may quote what was sent, and its own digest of it is not needed: the name says enough.
                self._conclude(operation, book.WRONG, what=f"raised {type(error).__name__} {_place(error)}")
                self._conclude(operation, book.DOUBTFUL)
                return
            else:
                self._conclude(operation, book.ACKNOWLEDGED, **result)
                return
        self._conclude(operation, book.DOUBTFUL)

    def _conclude(self, operation: Operation, state: str, **result) -> None:
        self.faults.heal()
        self.book.conclude(operation.number, state, **result)
        entry = self.entries[operation.number]
        if state != book.WRONG:
            entry.state, entry.result = state, result

    def _note(self, operation: Operation, error: Exception) -> None:
        sys.stderr.write(
            f"{operation.name} {operation.kind}: {type(error).__name__} {_place(error)} {_number(error)}\n"
        )

    def _compare(self, first: dict, second: dict) -> None:
        known = {"order", "token", "certificate"}
        if any(first.get(name) != second.get(name) for name in known):
            raise Wrong("sent twice, it was answered with something else")

    # --- What to do it with ------------------------------------------------------------------------------------

    def _intent(self, operation: Operation) -> dict | None:
        """What is written down before; None if there is nothing yet to do it with."""
        match operation.kind:
            case "place form" | "place api" | "expired":
                return {"label": operation.label}
            case "place saved" | "forget":
                return self._intent_with_saved_card(operation)
            case "place token" | "read" | "erase" | "pay again" | "cancel":
                return self._intent_with_order(operation)
            case "import":
                return {"labels": list(operation.labels)}
        return {}

    def _intent_with_saved_card(self, operation: Operation) -> dict | None:
        saved = list(SavedCard.objects.filter(customer=self.customers[operation.customer]).order_by("pk"))
        card = saved[operation.index % len(saved)] if saved else None
        label = card and self._label(card.token.text)
        # What came of an order in doubt is left alone: the books do not say which card it is.
        return None if label is None else {"label": label, "token": card.token.text, "saved": card.pk}

    def _intent_with_order(self, operation: Operation) -> dict | None:
        order = self._order(operation)
        if order is None:
            return None
        what = {name: order.get(name) for name in ("label", "token", "order", "by")}
        is_repeat = order.intent["kind"] == "pay again"
        return what | {"origin": order.intent["origin"] if is_repeat else f"{self.slot}/{order.number}"}

    def _order(self, operation: Operation) -> book.Entry | None:
        placed = [
            entry
            for entry in self.entries.values()
            if entry.state == book.ACKNOWLEDGED and entry.intent["kind"] in PLACING
        ][-RECENT:]
        return placed[operation.index % len(placed)] if placed else None

    def _label(self, token: str) -> int | None:
        known = (
            entry for entry in self.entries.values() if entry.get("token") == token and entry.get("label") is not None
        )
        return next((entry.get("label") for entry in known), None)

    def _pan(self, label: int) -> PAN:
        return PAN(digits_of(self.options.seed, label))

    # --- Orders ------------------------------------------------------------------------------------------------

    def _place(self, operation: Operation, card, *, saves: bool, expires=None) -> dict:
        order = orders.place(
            customer=self.customers[operation.customer],
            name=operation.kind,
            description=operation.name,
            amount=operation.amount,
            currency="EUR",
            card=card,
            expires=expires,
            save_card=saves,
            submission=operation.key,
        )
        return _placed(order.public_id, order.card.token.text, by=f"customer{self.slot}-{operation.customer}")

    def _place_form(self, operation, intent):
        expires = next_year() if operation.index % 4 else None
        return self._place(operation, self._pan(intent["label"]), saves=operation.saves, expires=expires)

    def _expired(self, operation, intent):
        self._place(operation, self._pan(intent["label"]), saves=operation.saves, expires=last_month())
        raise Wrong("an expired card was taken")

    def _place_saved(self, operation, intent):
        saved = SavedCard.objects.filter(pk=intent["saved"]).first()
        if saved is None:
            # Taken off the list meanwhile, as the page says. It may have been placed before that.
            placed = Order.objects.filter(submission=operation.key).first()
            if placed is None:
                raise Refused
            return _placed(placed.public_id, placed.card.token.text, by=placed.customer.username)
        return self._place(operation, saved, saves=False)

    def _place_api(self, operation, intent):
        return self._post_order(operation, pan=self._pan(intent["label"]).expose())

    def _place_token(self, operation, intent):
        return self._post_order(operation, token=intent["token"])

    def _post_order(self, operation, **card):
        body = {"name": operation.kind, "description": operation.name, "amount": f"{operation.amount:.2f}"}
        answer = self._post("/api/v1/orders/", body | {"currency": "EUR"} | card, operation)
        return _placed(answer["id"], answer["card"]["token"], by=self.service.username)

    def _pay_again(self, operation, intent):
        if intent["by"] == self.service.username:
            path = f"/api/v1/orders/{intent['order']}/pay-again/"
            answer = self._post(path, {"token": intent["token"]}, operation)
            return _placed(answer["id"], answer["card"]["token"], by=intent["by"])
        order = Order.objects.get(public_id=intent["order"])
        repeat = orders.pay_again(order, card=order.card.token, submission=operation.key)
        return _placed(repeat.public_id, repeat.card.token.text, by=intent["by"])

    def _cancel(self, operation, intent):
        if intent["by"] == self.service.username:
            self._post(f"/api/v1/orders/{intent['order']}/cancel/", {}, operation)
        else:
            orders.cancel(Order.objects.get(public_id=intent["order"]), submission=operation.key)
        return {}

    def _post(self, path: str, body: dict, operation: Operation) -> dict:
        """What the API answered. The whole of the application runs, down from its WSGI interface."""
        content = json.dumps(body).encode()
        environ = RequestFactory()._base_environ(
            REQUEST_METHOD="POST",
            PATH_INFO=path,
            CONTENT_TYPE="application/json",
            CONTENT_LENGTH=str(len(content)),
            HTTP_HOST="localhost",
            HTTP_AUTHORIZATION=f"Token {self._token}",
            HTTP_IDEMPOTENCY_KEY=str(operation.key),
            **{"wsgi.input": FakePayload(content)},
        )
        begun: list = []
        response = self._application(environ, lambda status, headers: begun.extend((status, headers)))
        try:
            answer = b"".join(response).decode()
        finally:
            response.close()
        # What is printed is searched for card numbers at the end.
        sys.stdout.write(f"{begun[0]} {begun[1]} {answer}\n")
        status = int(begun[0].split()[0])
        if status in _AGAIN and '"order_not_cancellable"' not in answer:
            raise Unanswered(str(status))
        if status in {400, 404, 409}:
            raise Refused(json.loads(answer).get("errors", status))
        if status not in {200, 201}:
            raise Wrong(f"the API answered {status} to {operation.kind}")
        return json.loads(answer)

    # --- Cards -------------------------------------------------------------------------------------------------

    def _forget(self, operation, intent):
        saved = SavedCard.objects.filter(pk=intent["saved"]).first()
        if saved is not None:
            savedcards.forget_card(saved)
        # Another customer may have saved the same card; then it stays.
        return {"erased": vault.describe(intent["token"]).is_erased}

    def _erase(self, operation, intent):
        if operation.index % 3:
            # Most are looked at, and few erased, or little would be left.
            return self._read(operation, intent)
        certificate = vault.erase(intent["token"], actor=self.staff, reason="Asked for in a run of accounts.")
        return {"erased": True, "certificate": certificate.number}

    def _read(self, operation, intent):
        pan = vault.detokenize(intent["token"], actor=self.reader, purpose=_READING)
        if pan != self._pan(intent["label"]):
            raise Wrong("a token opened to another card")
        return {"read": True}

    # --- Commands ----------------------------------------------------------------------------------------------

    def _import(self, operation, intent):
        file = self.folder / "inputs" / f"{self.slot}-{operation.number}.csv"
        output = Path(os.environ["DATA_DIR"]) / "imports" / f"{self.slot}-{operation.number}.csv"
        if not file.exists():
            draft = file.with_suffix(".new")
            with draft.open("w", newline="") as stream:
                rows = ([digits_of(self.options.seed, label), f"r{row}"] for row, label in enumerate(intent["labels"]))
                csv.writer(stream).writerows([["number", "reference"], *rows])
            draft.rename(file)
        self._command("vault_import", str(file), f"--output={output}", "--report=json")
        with output.open(newline="") as stream:
            kept = {int(line["reference"][1:]): line["token"] for line in csv.DictReader(stream)}
        if sorted(kept) != list(range(len(intent["labels"]))):
            raise Wrong("an import ended without some of its rows")
        return {"tokens": [kept[row] for row in sorted(kept)]}

    def _reencrypt(self, operation, intent):
        segment = operation.index % self.options.workers
        options = (f"--segment={segment}", f"--total-segments={self.options.workers}")
        self._command("vault_reencrypt", *options, codes=(0, 2))
        return {}

    def _rotate(self, operation, intent):
        self._command("vault_rotate", "card")
        return {}

    def _seal(self, operation, intent):
        self._command("vault_audit", "seal")
        return {}

    def _fsck(self, operation, intent):
        self._command("vault_fsck", "--repair", "--resume", "--format=json", codes=(0, 2))
        return {}

    def _command(self, name: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> None:
        out = io.StringIO()
        try:
            call_command(name, *arguments, stdout=out)
            code = 0
        except CommandError as error:
            code = error.returncode
            # A sentence of ours.
            sys.stderr.write(f"{name} ended with {code}: {error}\n")
        finally:
            sys.stdout.write(out.getvalue())
        if code not in codes:
            if code == 1:
                raise Unanswered(name)
            raise Wrong(f"{name} ended with {code}")


def _placed(order: str, token: str, *, by: str) -> dict:
    return {"order": order, "token": token, "by": by}


def _said(error: Exception) -> str:
    return f"{type(error).__name__} {error.args[0] if isinstance(error, Refused) and error.args else ''}".strip()


def _place(error: BaseException) -> str:
    """The innermost line of ours that an error came through."""
    lines, traceback = [], error.__traceback__
    while traceback:
        name = traceback.tb_frame.f_code.co_filename
        if "site-packages" not in name and "<" not in name:
            lines.append(f"{Path(name).parent.name}/{Path(name).name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return " < ".join(reversed(lines[-3:]))


def _number(error: Exception) -> str:
    return next((str(each) for each in error.args if isinstance(each, int)), "")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("slot", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed")
    parser.add_argument("--operations", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--deaths", type=float, required=True)
    parser.add_argument("--settle", action="store_true")
    options = parser.parse_args(arguments)
    worker = Worker(options)
    if options.settle:
        worker.settle()
    else:
        worker.run()
