"""Rotating the fingerprint key: every card is recognized at every step."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.cards import NUMBERS
from tests.vault.rotating import PANS, VISA, age_the_list, another_process, cards, due, read, rotation, run
from tests.wire import Wire
from vault import services
from vault.backend import Vault
from vault.exceptions import KeyInUse, KeyListTooYoung, VaultUnavailable
from vault.keyring import KeyRing
from vault.models import ItemChange
from vault.pan import PAN
from vault.records import key_mark
from vault.resealing import Outcome, Selection, reseal
from vault.rotation import NoSuchKey, RotationUnderWay
from vault.tokens import Token

__all__ = ["cards", "read", "rotation"]

pytestmark = pytest.mark.django_db


def test_known_cards_are_recognized_at_every_step_of_a_rotation(vault, rotation, cards, read):
    tokens = [Token.parse(card.token) for card in cards]

    def all_known():
        return vault.store.find_many(PANS) == tokens and all(
            result.status == "existing" for result in services.tokenize_many(PANS)
        )

    assert rotation.add_fingerprint_key().number == 2
    assert all_known()
    age_the_list()
    with pytest.raises(KeyInUse):
        rotation.promote_fingerprint_key()
    run("vault_reencrypt")
    assert all_known()
    rotation.promote_fingerprint_key()
    assert all_known()
    age_the_list()
    with pytest.raises(KeyInUse):
        rotation.retire("fingerprint", 1)
    run("vault_reencrypt")
    assert all_known()
    rotation.retire("fingerprint", 1)
    assert all_known()
    assert read(cards) == PANS
    assert vault.fingerprint_keys.created_at(1) is None
    counts = {key["number"]: key["items"] for key in run("vault_keys") if key["purpose"] == "fingerprint"}
    assert counts == {1: 0, 2: len(cards)}


def test_a_fingerprint_secret_that_a_crash_left_is_destroyed_by_the_next_retirement(
    vault, rotation, cards, monkeypatch
):
    rotation.add_fingerprint_key()
    run("vault_reencrypt")
    age_the_list()
    rotation.promote_fingerprint_key()
    run("vault_reencrypt")
    age_the_list()
    with monkeypatch.context() as patch:
        patch.setattr(vault.fingerprint_keys, "destroy", lambda number: (_ for _ in ()).throw(VaultUnavailable()))
        with pytest.raises(VaultUnavailable):
            rotation.retire("fingerprint", 1)
    assert vault.fingerprint_keys.exists(1)
    rotation.retire("fingerprint", 1)
    assert not vault.fingerprint_keys.exists(1)


def test_a_list_is_as_old_as_the_question_for_it(vault, monkeypatch):
    other, now = Vault(vault.config), [100.0]
    monkeypatch.setattr("vault.backend.time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(config):
        now[0] += 20
        return KeyRing(*named)

    named = (vault.ring.sealing, vault.ring.opening)
    monkeypatch.setattr("vault.backend.key_ring", slow)
    assert other.store
    now[0] += 11
    before = now[0]
    assert other.store
    assert now[0] > before


def test_a_long_call_looks_at_the_list_on_its_way(vault, rotation, monkeypatch):
    monkeypatch.setattr("vault.services._CARDS_AT_ONCE", 2)
    store, real = vault.store, vault.store.keep

    def meanwhile(pans):
        kept = real(pans)
        rotation.rotate_card_key()
        return kept

    monkeypatch.setattr(store, "keep", meanwhile)
    cards = [result.card for result in services.tokenize_many(PANS)]
    marks = [key_mark(item) for item in due(vault, cards)]
    assert marks[0] == "" != marks[-1]


def test_processes_at_neighboring_steps_give_one_number_one_token(vault, rotation, cards):
    first, second = PAN(NUMBERS["visa"][1]), PAN(NUMBERS["mastercard"][1])
    before = another_process(vault)
    rotation.add_fingerprint_key()
    (kept,) = before.store.keep([first])
    assert vault.store.keep([first])[0].token == kept.token
    (kept,) = vault.store.keep([second])
    assert before.store.keep([second])[0].token == kept.token


def test_sealing_a_card_anew_takes_no_fingerprint_of_another(vault, rotation, cards):
    rotation.add_fingerprint_key()
    run("vault_reencrypt")
    (item,) = due(vault, cards[:1])
    named = item["fingerprint"]["S"].split(" ")[0]
    age_the_list()
    rotation.promote_fingerprint_key()
    other = vault.store.open([Token.parse(cards[1].token)])[0].record
    planted = vault.store._sealer.seal_fingerprint(other, named)
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=planted)
    assert reseal([item], Selection()) == {Outcome.RESEALED: 1}
    assert vault.store.owners([named]) == {named: other.token}


def test_a_card_whose_answer_was_lost_on_the_way_stays_readable(any_vault, read):
    wire = Wire(any_vault)
    card = services.tokenize(VISA).card
    items = due(any_vault, [card])
    wire.interrupt("TransactWriteItems")
    with pytest.raises(VaultUnavailable):
        reseal(items, Selection(before=timezone.now()))
    assert read([card]) == [VISA]
    ItemChange.objects.update(started_at=timezone.now() - timedelta(minutes=2))
    assert reseal(due(any_vault, [card]), Selection()) == {Outcome.CURRENT: 1}
    assert not ItemChange.objects.exists()
    assert read([card]) == [VISA]


def test_processes_before_and_after_a_promotion_too(vault, rotation):
    first, second = PAN(NUMBERS["visa"][1]), PAN(NUMBERS["mastercard"][1])
    rotation.add_fingerprint_key()
    age_the_list()
    before = another_process(vault)
    rotation.promote_fingerprint_key()
    (kept,) = before.store.keep([first])
    assert vault.store.keep([first])[0].token == kept.token
    (kept,) = vault.store.keep([second])
    assert before.store.keep([second])[0].token == kept.token


def test_one_fingerprint_rotation_at_a_time_and_none_promoted_too_early(rotation):
    rotation.add_fingerprint_key()
    with pytest.raises(RotationUnderWay):
        rotation.add_fingerprint_key()
    with pytest.raises(KeyListTooYoung):
        rotation.promote_fingerprint_key()


def test_there_is_nothing_to_promote_without_a_rotation(rotation):
    with pytest.raises(NoSuchKey):
        rotation.promote_fingerprint_key()


def test_a_retired_secret_is_neither_made_again_nor_missed(vault, rotation, cards, capsys):
    rotation.add_fingerprint_key()
    age_the_list()
    run("vault_reencrypt")
    rotation.promote_fingerprint_key()
    age_the_list()
    run("vault_reencrypt")
    rotation.retire("fingerprint", 1)
    call_command("vault_provision")
    assert not vault.fingerprint_keys.exists(1)
    call_command("vault_check")
    assert "FAILED" not in capsys.readouterr().out
