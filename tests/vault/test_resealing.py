"""Sealing cards anew while others read, write and erase them."""

import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.cards import NUMBERS
from tests.factories import make_user
from tests.vault.rotating import VISA, another_process, cards, due, keys_by_number, read, rotation, run
from vault import services
from vault.backend import current_vault
from vault.models import AuditEvent, Card, ItemChange, Run
from vault.pan import PAN
from vault.resealing import Outcome, Selection, reseal
from vault.tokens import Token

__all__ = ["cards", "read", "rotation"]

pytestmark = pytest.mark.django_db


def test_segments_share_the_cards_between_them(rotation, cards):
    rotation.rotate_card_key()
    done = [run("vault_reencrypt", f"--segment={number}", "--total-segments=4")["counts"] for number in range(4)]
    assert sum(counts.get("resealed", 0) for counts in done) == len(cards)


def test_a_dry_run_counts_and_changes_nothing(rotation, cards):
    rotation.rotate_card_key()
    before = list(Card.objects.values_list("item_digest", flat=True))
    assert run("vault_reencrypt", "--dry-run") == {"segment": 0, "of": 1, "left": len(cards), "counts": {}}
    assert list(Card.objects.values_list("item_digest", flat=True)) == before
    assert not Run.objects.exists()


def test_a_run_that_was_stopped_goes_on_and_one_for_other_keys_does_not(vault, rotation, cards):
    rotation.rotate_card_key()
    ring = vault.ring
    keys = {"key": ring.sealing.name, "fingerprints": list(ring.written), "all": False}
    Run.objects.create(operation="reencrypt", position={"after": "", **keys}, counts={"resealed": 7})
    assert run("vault_reencrypt")["counts"]["resealed"] == 7 + len(cards)
    Run.objects.create(operation="reencrypt", position={"after": "x", **keys, "key": "other"}, counts={"resealed": 7})
    assert run("vault_reencrypt")["counts"] == {"current": len(cards)}


def test_a_damaged_card_is_refused_and_stays_as_it_is(vault, rotation, cards):
    rotation.rotate_card_key()
    item = due(vault, cards[:1])[0] | {"created_at": {"S": "2020-01-01T00:00:00+00:00"}}
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=item)
    with pytest.raises(CommandError) as caught:
        run("vault_reencrypt")
    assert caught.value.returncode == 2
    assert due(vault, cards[:1]) == [item]
    assert AuditEvent.objects.filter(is_alarm=True, operation="card.tampered").exists()


def test_an_erased_card_is_left_alone(vault, rotation, cards):
    rotation.rotate_card_key()
    Card.objects.filter(token=cards[0].token).update(status="erased")
    assert reseal(due(vault, cards[:1]), Selection()) == {Outcome.NO_CARD: 1}


@pytest.mark.parametrize("state", ["unknown", "erased"])
def test_a_card_that_a_crash_left_under_the_old_key_is_said_to_be_left(vault, settings, rotation, cards, state):
    """Nobody seals it anew, and the old key cannot go while it is there."""
    settings.VAULT = settings.VAULT | {"ORPHAN_GRACE": 1}
    rotation.rotate_card_key()
    if state == "unknown":
        cards[0].delete()
        time.sleep(1.1)
    else:
        Card.objects.filter(pk=cards[0].pk).update(status="erased", erased_at=timezone.now() - timedelta(hours=1))
    with pytest.raises(CommandError, match="vault_fsck") as left:
        run("vault_reencrypt")
    assert left.value.returncode == 2
    assert keys_by_number()["card", 1]["items"] == 1
    call_command("vault_fsck", "--repair", stdout=StringIO())
    assert run("vault_reencrypt")["left"] == 0
    assert keys_by_number()["card", 1]["items"] == 0


def test_a_card_that_somebody_else_is_writing_is_left_to_them(vault, rotation, cards):
    rotation.rotate_card_key()
    ItemChange.objects.create(card=cards[0], version=2, digest="0" * 64)
    assert reseal(due(vault, cards[:1]), Selection()) == {Outcome.BUSY: 1}


@pytest.mark.parametrize("was_written", [False, True], ids=["before the item", "after the item"])
def test_a_note_that_a_dead_process_left_is_settled(vault, rotation, cards, read, was_written):
    rotation.rotate_card_key()
    token = Token.parse(cards[0].token)
    rewrite = vault.store.rewrite(token, due(vault, cards[:1])[0])
    long_ago = timezone.now() - timedelta(minutes=2)
    ItemChange.objects.create(card=cards[0], version=2, digest=rewrite.after.digest, started_at=long_ago)
    if was_written:
        assert vault.store.commit(rewrite)
    assert read(cards[:1]) == [VISA]
    reseal(due(vault, cards[:1]), Selection(before=timezone.now()))
    assert not ItemChange.objects.exists()
    assert read(cards[:1]) == [VISA]
    assert Card.objects.get(token=token.text).item_version == (3 if was_written else 2)


def test_a_note_beside_an_item_that_is_current_is_settled_by_the_next_run(vault, rotation, cards):
    rotation.rotate_card_key()
    token = Token.parse(cards[0].token)
    rewrite = vault.store.rewrite(token, due(vault, cards[:1])[0])
    ItemChange.objects.create(card=cards[0], version=rewrite.after.version, digest=rewrite.after.digest)
    assert vault.store.commit(rewrite)
    with pytest.raises(CommandError) as caught:
        run("vault_reencrypt")
    assert caught.value.returncode == 2
    ItemChange.objects.update(started_at=timezone.now() - timedelta(minutes=2))
    assert run("vault_reencrypt")["counts"] == {"current": len(cards)}
    assert not ItemChange.objects.exists()
    row = Card.objects.get(token=token.text)
    assert (row.item_version, row.item_digest) == (rewrite.after.version, rewrite.after.digest)


def test_a_list_of_before_the_newest_key_is_no_tampering(vault, rotation, cards, monkeypatch):
    stale = another_process(vault)
    rotation.rotate_card_key()
    new = services.tokenize(PAN(NUMBERS["visa"][1])).card
    for module in ("vault.resealing", "vault.opening"):
        monkeypatch.setattr(f"{module}.current_vault", lambda: stale)
    assert reseal(due(vault, [new]), Selection()) == {Outcome.BUSY: 1}
    assert reseal(due(vault, [new]), Selection()) == {Outcome.CURRENT: 1}
    assert not AuditEvent.objects.filter(is_alarm=True).exists()


def test_a_card_erased_and_handed_in_again_meanwhile_is_no_tampering(vault, rotation, cards):
    items = due(vault, cards[:1])
    rotation.rotate_card_key()
    services.erase(cards[0].token, actor=make_user("sue", "vault.erase_card"), reason="The cardholder asked for it")
    Card.objects.filter(token=cards[0].token).update(status=Card.Status.ACTIVE)
    services.tokenize(VISA)
    real = Card.refresh_from_db

    def erased(card, *args, **kwargs):
        Card.objects.filter(token=cards[0].token).update(status=Card.Status.ERASED)
        real(card, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Card, "refresh_from_db", erased)
        assert reseal(items, Selection()) == {Outcome.NO_CARD: 1}
    assert not AuditEvent.objects.filter(is_alarm=True).exists()


def test_a_batch_that_takes_longer_than_its_notes_hold_is_left(vault, rotation, cards, monkeypatch):
    rotation.rotate_card_key()
    items, real = due(vault, cards[:2]), vault.store.commit
    later = time.monotonic() + 33

    def slow(rewrite):
        monkeypatch.setattr("vault.resealing.time.monotonic", lambda: later)
        return real(rewrite)

    monkeypatch.setattr(vault.store, "commit", slow)
    assert reseal(items, Selection()) == {Outcome.RESEALED: 1, Outcome.BUSY: 1}
    assert not ItemChange.objects.exists()


def test_writers_never_lose(vault, rotation, cards, monkeypatch):
    rotation.rotate_card_key()
    store = current_vault().store
    real = store.commit

    def late(rewrite):
        monkeypatch.setattr(store, "commit", real)
        store.remove(rewrite.token)
        return real(rewrite)

    monkeypatch.setattr(store, "commit", late)
    items = due(vault, cards[:1])
    assert reseal(items, Selection()) == {Outcome.BUSY: 1}
    assert due(vault, cards[:1]) == []
    assert not ItemChange.objects.exists()
