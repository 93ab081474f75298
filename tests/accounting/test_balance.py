"""The run's own tests: whatever is lost, doubled, half done or leaked is found, and nothing else is."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from orders import services as orders
from orders.models import Event, Order, SavedCard
from tests.accounting import book
from tests.accounting.balance import Balance, Books
from tests.accounting.canaries import digits_of
from tests.accounting.closing import Closing
from tests.accounting.operations import draw
from tests.accounting.search import Search
from tests.factories import make_user
from vault import services
from vault.audit import audited
from vault.audit.chain import OPENING
from vault.audit.ledger import current_ledger
from vault.guard import refuse_plaintext
from vault.models import AuditEvent, Card
from vault.pan import PAN

pytestmark = pytest.mark.django_db
SEED = "accounts"
SIZE = {"operations": 40, "workers": 1}
#: The first operation that the seed draws of a kind.
FORM, API, AGAIN = (
    next(each for number in range(40) if (each := draw(SEED, 0, number, workers=1)).kind == kind)
    for kind in ("place form", "place api", "pay again")
)


class Till:
    """One customer's orders, each of which is in the book."""

    def __init__(self, folder, leaks):
        self.folder = folder
        self.customer = make_user("customer0-0")
        self.writing = book.Book(folder / "0.jsonl")
        self._watch = leaks.watch

    def pan(self, label):
        return PAN(self._watch(digits_of(SEED, label), label=f"card {label}"))

    def place(self, operation, *, state=book.ACKNOWLEDGED, **other):
        operation = replace(operation, **other)
        card = services.tokenize(self.pan(operation.label), is_external=False)
        order = orders.place(
            customer=self.customer,
            name=operation.kind,
            description=operation.name,
            amount=operation.amount,
            currency="EUR",
            card=self.pan(operation.label),
            save_card=operation.saves,
        )
        self.writing.intend(operation.number, kind=operation.kind, label=operation.label)
        told = {"order": order.public_id, "token": card.token.text, "by": self.customer.username}
        self.writing.conclude(operation.number, state, **told)
        return order

    def note(self, operation, state=book.ACKNOWLEDGED, *, intent, **result):
        self.writing.intend(operation.number, kind=operation.kind, **intent)
        self.writing.conclude(operation.number, state, **result)

    def wrong(self, killed=()):
        balance = Balance(Books.read(self.folder, SEED), **SIZE)
        balance.strike(set(killed))
        return balance.wrong


@pytest.fixture
def till(tmp_path, leaks):
    """A book with one order that was acknowledged."""
    made = Till(tmp_path, leaks)
    made.order = made.place(FORM)
    return made


def erase(till, token, *, is_told=True):
    staff = make_user("staff", "vault.erase_card")
    services.erase(token, actor=staff, reason="Asked for.")
    if is_told:
        till.note(replace(API, kind="erase"), intent={"token": token.text}, erased=True)


def test_what_is_as_it_was_acknowledged_balances(till):
    assert till.wrong() == []


def test_a_lost_order_is_found(till):
    Order.objects.all().delete()
    assert till.wrong() == [f"{FORM.name} place form: the order that was acknowledged is lost"]


def test_an_order_that_is_there_twice_is_found(till):
    till.order.pk, till.order.public_id = None, "ord_second"
    till.order.save(force_insert=True)
    assert f"{FORM.name} place form: one key made 2 orders" in till.wrong()


def test_an_order_in_spite_of_a_refusal_is_found(till):
    till.writing.conclude(FORM.number, book.REFUSED, why="CardExpired")
    assert till.wrong() == [f"{FORM.name} place form: it was refused (CardExpired), and there is an order"]


def test_an_order_of_nobody_is_found(till):
    Order.objects.update(description="0/39")
    assert "order of 0/39: no book knows of it" in till.wrong()


@pytest.mark.parametrize("column", [{"amount": "0.02"}, {"card_last4": "0000"}, {"currency": "USD"}, {"name": "other"}])
def test_an_order_that_is_another_than_ordered_is_found(till, column):
    Order.objects.update(**column)
    assert till.wrong() == [f"{FORM.name} place form: {next(iter(column))} is not what was ordered"]


def test_an_order_in_doubt_may_be_there_and_be_whole(till):
    till.writing.conclude(FORM.number, book.DOUBTFUL)
    assert till.wrong() == []
    Order.objects.update(amount="0.02")
    assert till.wrong() == [f"{FORM.name} place form: amount is not what was ordered"]


def test_an_order_in_doubt_may_be_missing(till):
    till.note(API, book.DOUBTFUL, intent={"label": API.label})
    assert till.wrong() == []


def test_an_order_that_is_half_written_is_found(till):
    Event.objects.all().delete()
    assert till.wrong() == [f"order {till.order.public_id}: its events are {{}}"]


def test_a_lost_cancellation_is_found(till):
    till.note(replace(API, kind="cancel"), intent={"order": till.order.public_id})
    assert till.wrong() == [f"order {till.order.public_id}: its cancellation was acknowledged, and is lost"]


def test_a_cancellation_by_nobody_is_found(till):
    orders.cancel(till.order)
    assert till.wrong() == [f"order {till.order.public_id}: nobody cancelled it"]


def test_a_repetition_more_than_was_answered_is_found(till):
    intent = {"label": FORM.label, "order": till.order.public_id, "origin": FORM.name}
    till.note(AGAIN, book.DOUBTFUL, intent=intent)
    saved = SavedCard.objects.get()
    orders.pay_again(till.order, card=saved, submission=uuid.uuid4())
    assert till.wrong() == []
    orders.pay_again(till.order, card=saved, submission=uuid.uuid4())
    assert till.wrong() == [f"order {till.order.public_id}: repeated 2 times more than anybody was answered"]


def test_a_saved_card_that_is_lost_is_found(till):
    SavedCard.objects.all().delete()
    assert till.wrong() == [f"{FORM.name} place form: the card was saved, and is not on the list"]


def test_a_lost_card_is_found(till, vault):
    vault.store.remove(till.order.card.token)
    assert f"card {till.order.card.token}: SQL has it and DynamoDB does not" in till.wrong()


@pytest.mark.django_db(transaction=True)
def test_an_erasure_by_nobody_is_found(till):
    erase(till, till.order.card.token, is_told=False)
    assert till.wrong() == [f"card {FORM.label}: nobody erased {till.order.card.token}, and it is gone"]


@pytest.mark.django_db(transaction=True)
def test_an_erasure_balances_and_a_lost_one_is_found(till):
    token = till.order.card.token
    erase(till, token)
    assert till.wrong() == []
    Card.objects.update(status=Card.Status.ACTIVE)
    assert f"card {token}: its erasure was acknowledged, and it is on file" in till.wrong()


def test_a_card_that_is_kept_twice_is_found(till, vault):
    (fingerprint,) = vault.store.fingerprints(till.pan(FORM.label))
    vault.store.remove_fingerprint(fingerprint)
    services.tokenize(till.pan(FORM.label))
    assert till.wrong() == [f"card {FORM.label}: it is kept 2 times"]


def test_one_token_for_two_cards_is_found(till):
    other = {"order": till.order.public_id, "token": till.order.card.token.text, "by": "customer0-0"}
    till.note(API, intent={"label": API.label}, **other)
    assert any("one token was given out for two cards" in each for each in till.wrong())


def test_what_must_not_be_answered_is_found(till):
    till.writing.conclude(FORM.number, book.WRONG, what="a token opened to another card")
    assert till.wrong() == [f"{FORM.name} place form: a token opened to another card"]


def intent_without_outcome():
    event = audited("tokenize")
    event.__enter__()
    # Held: a generator that nobody holds is ended, and says that it was interrupted.
    return event


def test_an_intent_of_a_process_that_lived_is_found(till):
    begun = intent_without_outcome()
    (process,) = AuditEvent.objects.filter(operation=OPENING).values_list("details__process", flat=True)
    chain = current_ledger()._free[0].chain
    assert till.wrong() == [f"chain {chain}: 1 intents of a process that lived have no outcome"]
    assert till.wrong(killed=[process]) == []
    begun.__exit__(None, None, None)
    assert till.wrong() == []


def test_an_alarm_is_found(till):
    event = AuditEvent(**{**AuditEvent.objects.values().first(), "id": None, "number": 10_000})
    event.operation, event.is_alarm, event.outcome = "card.tampered", True, "done"
    event.save()
    assert till.wrong() == [f"alarm card.tampered in row {event.pk}"]


# --- What is left of a crash ---------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_orphan_is_repaired_and_one_that_is_not_is_found(till, settings, vault):
    settings.VAULT = settings.VAULT | {"ORPHAN_GRACE": 1, "KEYS_MAX_AGE": 1}
    services.tokenize(till.pan(API.label), is_external=False)
    Card.objects.filter(token=till.order.card.token.text).update(is_external=True)
    closing = Closing()
    closing.run()
    assert closing.wrong == []
    assert closing.repaired["repaired"] == {"orphan": 1}
    vault.store.remove(till.order.card.token)
    Card.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    closing.run()
    assert [each[:10] for each in closing.wrong] == ["vault_fsck"] * 2


# --- Leaks ---------------------------------------------------------------------------------------------------------


def found_by_search(label, folder=None):
    search = Search(SEED, {digits_of(SEED, each): each for each in range(30)})
    search.everywhere([folder] if folder else [])
    return [each for each in search.leaks if f"card {label}" in each]


@pytest.mark.parametrize("label", [3, 25])
def test_a_card_in_a_file_is_found_whatever_stands_before_it(tmp_path, label):
    digits = digits_of(SEED, label)
    # On the border of two chunks, behind pages of nothing.
    (tmp_path / "data").write_bytes(bytes(4 * 1024 * 1024 - 8) + digits.encode())
    assert len(found_by_search(label, tmp_path)) == 1


@pytest.mark.either  # MySQL would keep a table that a test makes
@pytest.mark.parametrize("label", [3, 25])
def test_a_card_in_a_table_is_found(label):
    with connections["default"].cursor() as cursor:
        cursor.execute("CREATE TABLE planted (note VARCHAR(40))")
        cursor.execute("INSERT INTO planted VALUES (%s)", ["-".join(digits_of(SEED, label))])
    assert len(found_by_search(label)) == 1


def test_a_card_in_dynamodb_is_found(vault):
    vault.session.botocore.unregister("before-call", refuse_plaintext)
    item = {"token": {"S": "planted"}, "note": {"S": digits_of(SEED, 3)}}
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=item)
    assert len(found_by_search(3)) == 1


def test_a_run_that_leaks_nothing_is_clean(till, tmp_path):
    call_command("vault_audit", "seal")
    assert found_by_search(FORM.label, tmp_path) == []
