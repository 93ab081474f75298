"""What the books say compared with what the two stores have: a sentence for each thing that does not balance."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from orders.models import Event, Order, SavedCard
from tests.accounting import book
from tests.accounting.canaries import digits_of
from tests.accounting.operations import PLACING, draw, labels_of
from vault.audit.chain import OPENING
from vault.backend import current_vault
from vault.models import AuditEvent, Card, ErasureCertificate
from vault.opening import open_each
from vault.pan import PAN
from vault.resealing import is_card
from vault.tokens import Token

# As deep as audited operations are nested: an erasure within a tokenization within an import, and a key unwrapped.
DEEPEST = 4
# Nobody tampers with anything here, so whoever says so is wrong.
TAMPERED = ("card.tampered", "fsck.tampered", "audit.broken")
_AT_ONCE = 100


@dataclass(slots=True)
class Books:
    """What all books say together."""

    seed: str
    entries: dict[str, book.Entry]
    #: By token, the label of the card that somebody was told to have it.
    labels: dict[str, int] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    maybe_erased: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path, seed: str) -> "Books":
        entries = {
            f"{path.stem}/{entry.number}": entry
            for path in sorted(folder.glob("*.jsonl"))
            for entry in book.read(path).values()
        }
        books = cls(seed, entries)
        for name, entry in entries.items():
            books._add(name, entry)
        return books

    def acknowledged(self, *kinds: str) -> dict[str, book.Entry]:
        return {
            name: entry
            for name, entry in self.entries.items()
            if entry.state == book.ACKNOWLEDGED and entry.intent["kind"] in kinds
        }

    def _add(self, name: str, entry: book.Entry) -> None:
        self.wrong += [f"{name} {entry.intent['kind']}: {what}" for what in entry.wrongs]
        kind, is_told = entry.intent["kind"], entry.state == book.ACKNOWLEDGED
        if kind in {"erase", "forget"}:
            # What was not answered, or left as it is shared, somebody else may have erased.
            token = entry.intent["token"]
            (self.erased if is_told and entry.result.get("erased") else self.maybe_erased).add(token)
        if is_told and kind in PLACING:
            self._name(entry.result["token"], entry.intent["label"], name)
        if is_told and kind == "import":
            for token, label in zip(entry.result["tokens"], entry.intent["labels"], strict=True):
                self._name(token, label, name)

    def _name(self, token: str, label: int, name: str) -> None:
        if self.labels.setdefault(token, label) != label:
            self.wrong.append(f"{name}: one token was given out for two cards, {label} and {self.labels[token]}")


class Balance:
    """Compares. `wrong` has what does not balance."""

    def __init__(self, books: Books, *, operations: int, workers: int) -> None:
        self.books = books
        self.wrong = list(books.wrong)
        self.workers = workers
        self.numbers = {digits_of(books.seed, label): label for label in labels_of(books.seed, operations, workers)}
        self.counts: Counter[str] = Counter(f"{entry.intent['kind']} {entry.state}" for entry in books.entries.values())

    def strike(self, killed: set[int]) -> None:
        """Compare everything."""
        self._orders()
        self._saved_cards()
        self._cards()
        self._items()
        self._audit(killed)

    def _say(self, sentence: str) -> None:
        self.wrong.append(sentence)

    # --- Orders ------------------------------------------------------------------------------------------------

    def _orders(self) -> None:
        orders = list(Order.objects.select_related("customer", "repeat_of").order_by("pk"))
        self.counts["orders in SQL"] = len(orders)
        self.orders = {order.public_id: order for order in orders}
        placed, repeats = defaultdict(list), defaultdict(list)
        for order in orders:
            (repeats if order.repeat_of_id else placed)[order.description].append(order)
        for name, entry in self.books.entries.items():
            kind = entry.intent["kind"]
            if kind in PLACING - {"pay again"} or kind == "expired":
                self._order(name, entry, placed.pop(name, []))
        for name in placed:
            self._say(f"order of {name}: no book knows of it")
        self._repeats(repeats)
        self._cancellations()
        self._events()

    def _order(self, name: str, entry: book.Entry, found: list[Order]) -> None:
        kind = entry.intent["kind"]
        if len(found) > 1:
            self._say(f"{name} {kind}: one key made {len(found)} orders")
        if entry.state == book.REFUSED and found:
            self._say(f"{name} {kind}: it was refused ({entry.result.get('why')}), and there is an order")
        if entry.state == book.ACKNOWLEDGED and not found:
            self._say(f"{name} {kind}: the order that was acknowledged is lost")
        for order in found:
            self._compare(name, entry, order)

    def _compare(self, name: str, entry: book.Entry, order: Order, origin: str = "") -> None:
        slot, _, number = (origin or name).partition("/")
        operation = draw(self.books.seed, int(slot), int(number), workers=self.workers)
        digits = digits_of(self.books.seed, entry.intent["label"])
        expected = {
            "amount": operation.amount,
            "currency": "EUR",
            "name": operation.kind,
            "card_last4": digits[-4:],
            "card_brand": PAN(digits).brand.value,
        }
        if entry.state == book.ACKNOWLEDGED:
            told = entry.result
            expected |= {"public_id": told["order"], "card": told["token"], "customer": told["by"]}
        others = {"card": order.card.token.text, "customer": order.customer.username}
        for column, value in expected.items():
            if others.get(column, getattr(order, column)) != value:
                self._say(f"{name} {entry.intent['kind']}: {column} is not what was ordered")
        # Also of what nobody was answered: it is whole, or it is not there.
        self._belongs(order.card.token.text, entry.intent["label"], name)

    def _belongs(self, token: str, label: int, name: str) -> None:
        if self.books.labels.setdefault(token, label) != label:
            self._say(f"{name}: its token is that of another card")

    def _repeats(self, repeats: dict[str, list[Order]]) -> None:
        entries = {name: entry for name, entry in self.books.entries.items() if entry.intent["kind"] == "pay again"}
        told = {entry.result["order"]: name for name, entry in entries.items() if entry.state == book.ACKNOWLEDGED}
        if len(told) < len(self.books.acknowledged("pay again")):
            self._say("pay again: two operations were answered with one order")
        for public_id, name in told.items():
            if public_id not in self.orders:
                self._say(f"{name} pay again: the order that was acknowledged is lost")
            else:
                self._compare(name, entries[name], self.orders[public_id], entries[name].intent["origin"])
                if self.orders[public_id].repeat_of.public_id != entries[name].intent["order"]:
                    self._say(f"{name} pay again: it repeats another order")
        doubtful = Counter(entry.intent["order"] for entry in entries.values() if entry.is_open)
        extra = Counter(
            order.repeat_of.public_id for each in repeats.values() for order in each if order.public_id not in told
        )
        for of in extra:
            if extra[of] > doubtful[of]:
                self._say(f"order {of}: repeated {extra[of]} times more than anybody was answered")

    def _cancellations(self) -> None:
        told = {entry.intent["order"] for entry in self.books.acknowledged("cancel").values()}
        tried = {
            entry.intent["order"]
            for entry in self.books.entries.values()
            if entry.intent["kind"] == "cancel" and entry.is_open
        }
        for public_id, order in self.orders.items():
            is_cancelled = order.status == Order.Status.CANCELLED
            if is_cancelled != (order.cancelled_at is not None):
                self._say(f"order {public_id}: half cancelled")
            if public_id in told and not is_cancelled:
                self._say(f"order {public_id}: its cancellation was acknowledged, and is lost")
            if is_cancelled and public_id not in told | tried:
                self._say(f"order {public_id}: nobody cancelled it")

    def _events(self) -> None:
        types = defaultdict(Counter)
        for order, kind in Event.objects.exclude(order=None).values_list("order__public_id", "type"):
            types[order][kind] += 1
        for public_id, order in self.orders.items():
            first = Event.Type.ORDER_PAID_AGAIN if order.repeat_of_id else Event.Type.ORDER_PLACED
            expected = {first.value: 1}
            if order.status == Order.Status.CANCELLED:
                expected[Event.Type.ORDER_CANCELLED.value] = 1
            if types[public_id] != expected:
                self._say(f"order {public_id}: its events are {dict(types[public_id])}")

    def _saved_cards(self) -> None:
        """What was saved is on its customer's list, unless its customer took it off."""
        listed = set(SavedCard.objects.values_list("customer__username", "card"))
        listed = {(customer, getattr(card, "token", card)) for customer, card in listed}
        listed = {(customer, getattr(token, "text", token)) for customer, token in listed}
        taken_off = {
            (f"customer{name.split('/')[0]}", entry.intent["token"])
            for name, entry in self.books.entries.items()
            if entry.intent["kind"] == "forget"
        }
        for name, entry in self.books.acknowledged("place form").items():
            slot, _, number = name.partition("/")
            operation = draw(self.books.seed, int(slot), int(number), workers=self.workers)
            mine = (f"customer{slot}", entry.result["token"])
            if operation.saves and mine not in taken_off and (entry.result["by"], entry.result["token"]) not in listed:
                self._say(f"{name} place form: the card was saved, and is not on the list")

    # --- Cards -------------------------------------------------------------------------------------------------

    def _cards(self) -> None:
        cards = {card.token: card for card in Card.objects.all()}
        self.counts["cards in SQL"] = len(cards)
        active = [card for card in cards.values() if not card.is_erased]
        opened = dict(self._opened([card.token for card in active]))
        kept: dict[int, list[str]] = defaultdict(list)
        for token, label in opened.items():
            if label is None:
                self._say(f"card {token}: it is on file and does not open to a card of this run")
                continue
            kept[label].append(token)
            self._belongs(token, label, f"card {token}")
        for label, tokens in kept.items():
            if len(tokens) > 1:
                self._say(f"card {label}: it is kept {len(tokens)} times")
        certified = dict(ErasureCertificate.objects.values_list("card", "number"))
        self._erasures(cards, certified)
        for token, label in self.books.labels.items():
            if token not in cards:
                self._say(f"card {label}: the token {token} is unknown")
            elif cards[token].is_erased and token not in self.books.erased | self.books.maybe_erased:
                self._say(f"card {label}: nobody erased {token}, and it is gone")

    def _erasures(self, cards: dict[str, Card], certified: dict[str, str]) -> None:
        for token in self.books.erased:
            if token not in cards or not cards[token].is_erased:
                self._say(f"card {token}: its erasure was acknowledged, and it is on file")
        for token, card in cards.items():
            if card.is_erased and token not in certified:
                self._say(f"card {token}: erased without a certificate")
        for name, entry in self.books.acknowledged("erase").items():
            number = entry.result.get("certificate")
            if number and certified.get(entry.intent["token"]) != number:
                self._say(f"{name} erase: its certificate is lost")

    def _opened(self, tokens: list[str]):
        """Each token with the label of the card that it opens to, or None."""
        for start in range(0, len(tokens), _AT_ONCE):
            some = tokens[start : start + _AT_ONCE]
            for token, pan in zip(some, open_each([Token(text) for text in some]), strict=True):
                yield token, self.numbers.get(pan.expose()) if isinstance(pan, PAN) else None

    def _items(self) -> None:
        """DynamoDB has the cards that are on file, and no other."""
        items, after = set(), ""
        while True:
            page = current_vault().store.scan(after=after)
            items |= {item["token"]["S"] for item in page.items if is_card(item)}
            after = page.last
            if not after:
                break
        self.counts["cards in DynamoDB"] = len(items)
        active = set(Card.objects.filter(status=Card.Status.ACTIVE).values_list("token", flat=True))
        self.wrong += [f"card {token}: SQL has it and DynamoDB does not" for token in sorted(active - items)]
        self.wrong += [f"card {token}: DynamoDB has it and SQL does not" for token in sorted(items - active)]

    # --- The audit log -----------------------------------------------------------------------------------------

    def _audit(self, killed: set[int]) -> None:
        """Whatever began has an outcome, unless its process was killed or could not write any more."""
        events = AuditEvent.objects.order_by("pk")
        self.counts["audit events"] = events.count()
        for event in events.filter(is_alarm=True, operation__in=TAMPERED):
            self._say(f"alarm {event.operation} in row {event.pk}")
        processes: dict[str, int] = {}
        last: dict[int, str] = {}
        for event in events.filter(operation=OPENING):
            processes[event.subject] = event.details["process"]
            last[event.details["process"]] = event.subject
        ended = set(events.exclude(outcome=AuditEvent.Outcome.INTENT).values_list("operation_id", flat=True).iterator())
        unended: Counter[str] = Counter()
        intents = events.filter(outcome=AuditEvent.Outcome.INTENT).values_list("chain", "operation_id")
        for chain, operation_id in intents.iterator():
            if operation_id not in ended:
                unended[chain] += 1
        self.counts["intents without outcome"] = sum(unended.values())
        for chain, count in unended.items():
            process = processes[chain]
            # A branch whose last event is in doubt is left, and its process opened another one.
            if process not in killed and last[process] == chain:
                self._say(f"chain {chain}: {count} intents of a process that lived have no outcome")
            elif count > DEEPEST:
                self._say(f"chain {chain}: {count} intents without outcome are more than one process can have begun")
