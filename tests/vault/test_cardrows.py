"""Many cards at once: as few queries as for one, and the same rows as one by one."""

from datetime import date

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.cards import CANARY_BIN, NUMBERS, with_check_digit
from vault import cardrows, services
from vault.models import Card
from vault.pan import PAN
from vault.services import Status

pytestmark = pytest.mark.django_db
JUNE, MAY = date(2031, 6, 30), date(2031, 5, 31)


def some(number, start=0):
    return [PAN(with_check_digit(f"{CANARY_BIN}{start + each:07d}")) for each in range(number)]


def queries_of(call):
    with CaptureQueriesContext(connection) as queries:
        call()
    return len([each for each in queries if "vault_auditevent" not in each["sql"]])


def statuses(results):
    return [each.status for each in results]


def test_many_cards_take_as_many_queries_as_two():
    def keep(pans):
        services.tokenize_many(pans, expires=[JUNE] * len(pans))

    keep(some(1, start=90))
    few = [queries_of(lambda: keep(some(2))), queries_of(lambda: keep(some(2)))]
    # Of more, SQLite takes an INSERT in pieces.
    many = [queries_of(lambda: keep(some(50, start=10))), queries_of(lambda: keep(some(50, start=10)))]
    assert many == few
    assert Card.objects.count() == 53


def test_new_and_known_cards_come_in_their_order_each_with_what_became_of_it():
    old, dated, new = some(3)
    services.tokenize_many([old, dated], expires=[JUNE, JUNE])

    results = services.tokenize_many([new, dated, old, new], expires=[None, MAY, None, JUNE])

    assert statuses(results) == [Status.CREATED, Status.UPDATED, Status.EXISTING, Status.UPDATED]
    assert [each.card.last4 for each in results] == [each.last4 for each in (new, dated, old, new)]
    rows = {card.token: card.expires for card in Card.objects.all()}
    assert [rows[each.token.text] for each in results] == [JUNE, MAY, JUNE, JUNE]
    # What is given back is what was written.
    assert [results[at].card.expires for at in (1, 2, 3)] == [MAY, JUNE, JUNE]


def test_a_card_that_another_process_writes_meanwhile_has_one_row(monkeypatch):
    pans, real = some(3), cardrows._insert

    def inserted(handed, **options):
        # As `vault_fsck` does for an item without a row.
        Card.objects.create(token=handed[1][1].token.text, brand="visa", last4=pans[1].last4, item_version=1)
        return real(handed, **options)

    monkeypatch.setattr(cardrows, "_insert", inserted)
    results = services.tokenize_many(pans)
    assert statuses(results) == [Status.CREATED, Status.EXISTING, Status.CREATED]
    assert Card.objects.count() == 3


def test_an_insert_that_fails_leaves_nothing_of_itself(monkeypatch):
    monkeypatch.setattr(cardrows, "_remember_one", lambda *_, **__: None)
    # As a database that takes no more than one row at a time; the row of the last one is there already.
    monkeypatch.setattr(type(connection.ops), "bulk_batch_size", lambda *_: 1)
    pans = some(3)
    kept = cardrows.keep(pans)
    there = max(each.token.text for each in kept)
    Card.objects.create(token=there, brand="visa", last4="1111", item_version=1)
    cardrows.remember(pans, kept, [None] * 3, is_external=True)
    assert [card.token for card in Card.objects.all()] == [there]


@pytest.mark.parametrize("at_once", [1, 2, 99])
def test_rows_made_together_are_those_that_the_model_makes(monkeypatch, at_once):
    """Each value as Django adapts it, whichever it shares with the row before."""
    monkeypatch.setattr(type(connection.ops), "bulk_batch_size", lambda *_: at_once)
    dates = [JUNE, None, MAY, JUNE]
    made = [each.card for each in services.tokenize_many(some(4), expires=dates, is_external=False)]
    assert [card.expires for card in made] == dates
    fields = [field.attname for field in Card._meta.concrete_fields]
    for card in made:
        read = Card.objects.get(pk=card.pk)
        assert {name: getattr(card, name) for name in fields} == {name: getattr(read, name) for name in fields}
        assert (card._state.adding, card._state.db) == (read._state.adding, read._state.db)
        # What the model itself would write says the same.
        card.save()
        assert Card.objects.filter(pk=card.pk, **{name: getattr(read, name) for name in fields}).exists()


def test_one_that_was_erased_gets_a_new_token_and_the_others_keep_theirs():
    visa, other = PAN(NUMBERS["visa"][0]), PAN(NUMBERS["mastercard"][0])
    before = services.tokenize_many([visa, other])
    # As an erasure that a crash cut off: the row says erased, the items are there.
    Card.objects.filter(token=before[0].token.text).update(status=Card.Status.ERASED)

    after = services.tokenize_many([visa, other])

    assert statuses(after) == [Status.CREATED, Status.EXISTING]
    assert after[0].token != before[0].token
    assert after[1].token == before[1].token


def test_who_shares_a_query_with_an_erased_card_is_told_the_truth_all_the_same():
    visa, other = PAN(NUMBERS["visa"][0]), PAN(NUMBERS["mastercard"][0])
    before = services.tokenize_many([visa, other], expires=[JUNE, JUNE])
    Card.objects.filter(token=before[0].token.text).update(status=Card.Status.ERASED)

    after = services.tokenize_many([visa, other], expires=[MAY, MAY])

    assert statuses(after) == [Status.CREATED, Status.UPDATED]
    assert [Card.objects.get(token=each.token.text).expires for each in after] == [MAY, MAY]


def test_what_is_noted_of_many_is_noted_of_all_of_them_or_of_none(monkeypatch):
    pans = some(3)
    before = services.tokenize_many(pans, expires=[JUNE] * 3)
    Card.objects.filter(token=before[0].token.text).update(status=Card.Status.ERASED)
    monkeypatch.setattr(cardrows, "_remember_one", lambda *_, **__: None)
    with transaction.atomic():
        cardrows.remember(pans, cardrows.keep(pans), [MAY] * 3, is_external=True)
        # A transaction around it goes on.
        assert set(Card.objects.values_list("expires", flat=True)) == {JUNE}
