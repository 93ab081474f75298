"""Rotating keys: what seals, what opens, and when a key may go."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from io import StringIO
from threading import Barrier

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from tests.cards import NUMBERS
from tests.faults import Point
from tests.vault.rotating import (
    PANS,
    VISA,
    age_the_list,
    another_process,
    cards,
    due,
    keys_by_number,
    read,
    rotation,
    run,
)
from tests.wire import Wire
from vault import services
from vault.backend import Vault, _vaults, current_vault
from vault.exceptions import KeyInUse, KeyListTooYoung, RecordTampered, Tampering, VaultSealed, VaultUnavailable
from vault.models import AuditEvent, Card, ItemChange, Key, Run
from vault.pan import PAN
from vault.resealing import Outcome, Selection, reseal
from vault.rotation import KeyOfAnotherKind, KeyOnList, NoSuchKey, Rotation, RotationUnderWay
from vault.tokens import Token

__all__ = ["cards", "read", "rotation"]

pytestmark = pytest.mark.django_db


def test_a_vault_that_was_never_rotated_lists_the_keys_of_its_settings(cards):
    keys = keys_by_number()
    assert {name: key["items"] for name, key in keys.items()} == {
        ("card", 1): len(cards),
        ("fingerprint", 1): len(cards),
        ("audit", 1): 0,
        ("certificate", 1): 0,
    }
    card = keys["card", 1]
    assert (card["state"], card["bits"], card["age"], card["is_overdue"]) == ("active", 256, 0, False)
    assert card["key"].startswith("arn:aws:kms:")
    assert not Key.objects.exists()


def test_after_a_rotation_new_cards_are_under_the_new_key_and_all_are_readable(vault, rotation, read):
    old = services.tokenize(VISA).card
    arn = vault.session.key_arn(vault.config.CARD_KEY)
    key = rotation.rotate_card_key()
    new = services.tokenize(PANS[1]).card
    assert read([old, new]) == [VISA, PANS[1]]
    assert {name: entry["items"] for name, entry in keys_by_number().items() if name[0] == "card"} == {
        ("card", 1): 1,
        ("card", 2): 1,
    }
    assert vault.session.key_arn(vault.config.CARD_KEY) == key.arn != arn


def test_every_card_is_reencrypted_and_then_the_old_key_may_go(vault, rotation, cards, read):
    rotation.rotate_card_key()
    age_the_list()
    with pytest.raises(KeyInUse):
        rotation.retire("card", 1)
    assert run("vault_reencrypt")["counts"]["resealed"] == len(cards)
    assert run("vault_reencrypt")["counts"] == {"current": len(cards)}
    rotation.retire("card", 1, disable=True)
    Card.objects.update()
    assert read(cards) == PANS
    facts = keys_by_number()["card", 1]
    assert (facts["state"], facts["kms_state"], facts["items"]) == ("retired", "Disabled", 0)


def test_a_retired_key_opens_nothing_any_more(vault, rotation, cards, read):
    token = Token.parse(cards[0].token)
    item = vault.store.read([token])[token]
    rotation.rotate_card_key()
    run("vault_reencrypt")
    age_the_list()
    rotation.retire("card", 1)
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=item)
    with pytest.raises(RecordTampered) as caught:
        read(cards[:1])
    assert caught.value.kind is Tampering.FOREIGN_KEY


def test_nothing_seals_when_no_key_on_the_list_may(vault, rotation, cards):
    rotation.rotate_card_key()
    Key.objects.filter(purpose="card").update(state=Key.State.OLD)
    with pytest.raises(VaultSealed):
        vault.reload_keys()


def test_a_process_with_the_list_of_before_opens_what_the_new_key_sealed(vault, rotation, cards, read, monkeypatch):
    stale = another_process(vault)
    rotation.rotate_card_key()
    new = services.tokenize(PAN(NUMBERS["visa"][1]), is_external=False).card
    monkeypatch.setattr("vault.opening.current_vault", lambda: stale)
    assert read([new, cards[0]]) == [PAN(NUMBERS["visa"][1]), VISA]


def test_a_process_without_the_list_seals_under_the_alias_until_that_moves(vault, read):
    stale, kept = another_process(vault), []

    def meanwhile(seconds):
        assert 50 < seconds <= 60
        kept.extend(stale.store.keep([VISA]))

    Rotation(vault, sleep=meanwhile).rotate_card_key()
    assert vault.store.open([kept[0].token])[0].record.pan == VISA


def overtake(slow, faults):
    """Let another process rotate the key while KMS takes so long that every process could be taken to know the new list."""

    def rotate(moment):
        slow._read_at -= slow.config.KEYS_MAX_AGE
        Rotation(Vault(slow.config), sleep=lambda seconds: None).rotate_card_key()

    faults.at(Point("before", "call GenerateDataKey"), rotate)


@pytest.mark.parametrize("materials", ["per-item", "reused"])
def test_a_card_that_kms_was_asked_for_while_the_alias_moved_is_sealed_again(faults, settings, read, materials):
    settings.VAULT = settings.VAULT | {"MATERIALS": materials}
    slow = current_vault()
    assert slow.store
    overtake(slow, faults)
    card = services.tokenize(VISA).card
    assert read([card]) == [VISA]
    assert faults.reached[Point("before", "call GenerateDataKey")] == 2
    assert keys_by_number()["card", 2]["items"] == 1


@pytest.mark.parametrize("materials", ["per-item", "reused"])
def test_a_card_that_was_being_sealed_anew_while_the_alias_moved_is_not_written(faults, settings, read, materials):
    settings.VAULT = settings.VAULT | {"MATERIALS": materials}
    card = services.tokenize(VISA).card
    _vaults.clear()
    slow = current_vault()
    assert slow.store
    overtake(slow, faults)
    assert reseal(due(slow, [card]), Selection(before=timezone.now())) == {Outcome.BUSY: 1}
    assert read([card]) == [VISA]
    assert reseal(due(slow, [card]), Selection()) == {Outcome.RESEALED: 1}
    assert not ItemChange.objects.exists()
    assert read([card]) == [VISA]


def test_a_rotation_that_died_before_the_alias_followed_is_finished_first(vault, rotation, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_move_alias", lambda key: None)
        rotation.rotate_card_key()
    active = Key.objects.get(purpose="card", state="active")
    assert vault.session.key_arn(vault.config.CARD_KEY) != active.arn
    assert rotation.rotate_card_key() == active
    assert vault.session.key_arn(vault.config.CARD_KEY) == active.arn
    assert Key.objects.filter(purpose="card").count() == 2


def test_a_key_that_was_used_before_is_not_used_again(vault, rotation):
    first = vault.session.key_arn(vault.config.CARD_KEY)
    rotation.rotate_card_key()
    with pytest.raises(KeyOnList):
        rotation.rotate_card_key(arn=first)


def test_the_new_key_may_be_one_that_is_there(vault, rotation, cards, read, monkeypatch):
    # An operator waits for a minute.
    monkeypatch.setitem(Rotation.__init__.__kwdefaults__, "sleep", lambda seconds: None)
    arn = vault.session.kms().create_key()["KeyMetadata"]["Arn"]
    assert run("vault_rotate", "card", f"--to={arn}")["arn"] == arn
    assert read(cards) == PANS


def tags_of(vault, arn):
    return {tag["TagKey"]: tag["TagValue"] for tag in vault.session.kms().list_resource_tags(KeyId=arn)["Tags"]}


def plant_tag_of_aws(vault, arn):
    """A tag as a stack leaves on its keys: nobody can set one through the API."""
    with closing(sqlite3.connect(vault.config.EMBEDDED_DIR / "aws.sqlite3", isolation_level=None)) as files:
        change = (
            "UPDATE keys SET details = json_set(details, '$.Tags.\"aws:cloudformation:stack-name\"', 'x') WHERE id = ?"
        )
        assert files.execute(change, (arn.rpartition("/")[2],)).rowcount == 1


@pytest.mark.parametrize("is_given", [False, True], ids=["made", "given"])
def test_a_new_key_has_the_tags_by_which_roles_may_use_it(vault, rotation, is_given):
    """Those of the key before, and of a key that is given its own as well; not those that only AWS can give."""
    old, kms = vault.session.key_arn(vault.config.CARD_KEY), vault.session.kms()
    plant_tag_of_aws(vault, old)
    given = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "payments"}])["KeyMetadata"]["Arn"] if is_given else ""
    new = rotation.rotate_card_key(arn=given).arn
    wanted = {"vault-table": "vault-test", "vault-key": "card"}
    assert tags_of(vault, new) == wanted | ({"team": "payments"} if is_given else {})
    assert tags_of(vault, old).keys() - wanted.keys() == {"aws:cloudformation:stack-name"}


def test_who_rotates_need_not_be_one_who_may_change_policies(vault, wire, rotation):
    rotation.rotate_card_key()
    made = [json.loads(body) for body in wire.bodies if b'"KeySpec"' in body and b'"Policy"' in body]
    assert [body["BypassPolicyLockoutSafetyCheck"] for body in made] == [True]


def test_a_key_that_cannot_be_tagged_does_not_seal(vault, wire, rotation, cards):
    given = vault.session.kms().create_key()["KeyMetadata"]["Arn"]
    wire.fail("TagResource", "AccessDeniedException")
    with pytest.raises(VaultSealed):
        rotation.rotate_card_key(arn=given)
    assert not Key.objects.filter(arn=given).exists()
    assert services.tokenize(PAN(NUMBERS["visa"][1]))


def test_of_two_rotations_at_once_one_is_refused_and_one_key_seals(vault, rotation, monkeypatch):
    rotation.renew_data_keys()
    real = rotation._kms.create_like

    def slow(arn):
        Rotation(vault, sleep=lambda seconds: None).rotate_card_key()
        return real(arn)

    monkeypatch.setattr(rotation._kms, "create_like", slow)
    with pytest.raises(NoSuchKey):
        rotation.rotate_card_key()
    assert list(Key.objects.filter(purpose="card").values_list("number", "state")) == [(1, "old"), (2, "active")]
    assert services.tokenize(VISA)


def test_a_retirement_that_died_before_the_key_was_disabled_is_finished_by_the_next(vault, rotation, monkeypatch):
    rotation.rotate_card_key()
    age_the_list()
    with monkeypatch.context() as patch:
        patch.setattr(rotation._kms, "disable", lambda arn: (_ for _ in ()).throw(VaultUnavailable()))
        with pytest.raises(VaultUnavailable):
            rotation.retire("card", 1, disable=True)
    assert keys_by_number()["card", 1]["kms_state"] == "Enabled"
    rotation.retire("card", 1, disable=True)
    assert keys_by_number()["card", 1]["kms_state"] == "Disabled"


def test_a_key_of_another_kind_does_not_seal(vault, rotation, cards):
    made = vault.session.kms().create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256")
    with pytest.raises(KeyOfAnotherKind):
        rotation.rotate_card_key(arn=made["KeyMetadata"]["Arn"])
    assert services.tokenize(PAN(NUMBERS["visa"][1]))


@pytest.mark.parametrize(("purpose", "number"), [("card", 2), ("card", 9), ("fingerprint", 1)])
def test_a_key_in_use_or_unknown_is_not_retired(rotation, purpose, number):
    rotation.rotate_card_key()
    age_the_list()
    with pytest.raises(NoSuchKey):
        rotation.retire(purpose, number)


def test_a_key_is_not_retired_while_a_process_may_still_seal_under_it(rotation):
    rotation.rotate_card_key()
    with pytest.raises(KeyListTooYoung):
        rotation.retire("card", 1)


def test_new_data_keys_are_asked_for_at_once(settings, vault_settings):
    settings.VAULT = vault_settings | {"MATERIALS": "reused"}
    wire = Wire(current_vault())
    services.tokenize(PANS[0])
    services.tokenize(PANS[1])
    assert wire.calls["GenerateDataKey"] == 1
    call_command("vault_rotate", "card", "--data-key", stdout=StringIO())
    services.tokenize(PANS[2])
    assert wire.calls["GenerateDataKey"] == 2


def test_all_cards_get_new_data_keys_once(cards, read):
    call_command("vault_rotate", "card", "--data-key", stdout=StringIO())
    before = dict(Card.objects.values_list("token", "item_digest"))
    assert run("vault_reencrypt", "--all")["counts"] == {"resealed": len(cards)}
    assert all(digest != before[token] for token, digest in Card.objects.values_list("token", "item_digest"))
    assert read(cards) == PANS


def test_what_was_done_is_audited(rotation, cards):
    rotation.rotate_card_key()
    run("vault_reencrypt")
    operations = set(AuditEvent.objects.values_list("operation", flat=True))
    assert {"key.rotate", "reencrypt"} <= operations
    assert AuditEvent.objects.get(operation="reencrypt", outcome="done").details == {"resealed": len(cards)}


def test_a_key_past_its_cryptoperiod_is_said_to_be(settings, vault_settings, monkeypatch, capsys):
    later = timezone.now() + timedelta(days=400)
    monkeypatch.setattr("vault.inventory.timezone.now", lambda: later)
    monkeypatch.setattr("vault.inventory.timezone.localdate", lambda moment=later: moment.date())
    with pytest.raises(CommandError) as caught:
        call_command("vault_keys")
    assert caught.value.returncode == 2
    assert "overdue" in capsys.readouterr().out


def test_the_whole_way_of_both_keys_on_both_engines(any_vault, read):
    rotation = Rotation(any_vault, sleep=lambda seconds: None)
    cards = [result.card for result in services.tokenize_many(PANS[:3])]
    rotation.rotate_card_key()
    run("vault_reencrypt")
    age_the_list()
    rotation.retire("card", 1, disable=True)
    rotation.add_fingerprint_key()
    age_the_list()
    run("vault_reencrypt")
    rotation.promote_fingerprint_key()
    age_the_list()
    run("vault_reencrypt")
    rotation.retire("fingerprint", 1)
    assert [result.status for result in services.tokenize_many(PANS[:3])] == ["existing"] * 3
    assert read(cards) == PANS[:3]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite in memory refuses a second writer instead of letting it wait"
)
def test_of_two_who_begin_a_rotation_at_once_one_does(vault):
    begin = Barrier(2)

    def rotate(_):
        try:
            begin.wait()
            return Rotation(vault).add_fingerprint_key().number
        except RotationUnderWay:
            return None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(rotate, range(2)), key=str) == [2, None]
    assert list(Key.objects.filter(purpose="fingerprint").values_list("number", "state")) == [
        (1, "active"),
        (2, "next"),
    ]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("vault_rotate", ["fingerprint", "--data-key"]),
        ("vault_rotate", ["fingerprint", "--to=alias/x"]),
        ("vault_rotate", ["card", "--promote"]),
        ("vault_rotate", ["card", "--disable"]),
        ("vault_rotate", ["fingerprint", "--retire=1", "--disable"]),
        ("vault_rotate", ["card", "--retire=7"]),
        ("vault_rotate", ["fingerprint", "--promote"]),
        ("vault_reencrypt", ["--segment=4", "--total-segments=4"]),
        ("vault_reencrypt", ["--rate=0"]),
    ],
)
def test_what_makes_no_sense_ends_with_1_and_changes_nothing(command, arguments, capsys):
    with pytest.raises(CommandError) as caught:
        call_command(command, *arguments)
    assert caught.value.returncode == 1
    assert not Key.objects.filter(state__in=["next", "retired"]).exists()
    assert not Run.objects.exists()


@pytest.mark.parametrize("command", [("vault_keys",), ("vault_rotate", "card"), ("vault_reencrypt",)])
def test_a_vault_that_does_not_answer_ends_them_with_1(vault_settings, command):
    wire = Wire(current_vault())
    for operation in ("Scan", "DescribeKey"):
        wire.fail(operation, "AccessDeniedException")
    with pytest.raises(CommandError) as caught:
        call_command(*command, stdout=StringIO())
    assert caught.value.returncode == 1
    assert "AccessDeniedException" in str(caught.value)


def test_operators_are_told_what_comes_next(cards, capsys):
    call_command("vault_rotate", "fingerprint")
    call_command("vault_reencrypt")
    age_the_list()
    call_command("vault_rotate", "fingerprint", "--promote")
    call_command("vault_reencrypt")
    age_the_list()
    call_command("vault_rotate", "fingerprint", "--retire", "1")
    said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]
    assert said == [
        "Key 2 is next. Next: vault_reencrypt, then --promote.",
        f"Segment 0 of 1: {len(cards)} resealed; 0 left.",
        "Key 2 is active. Next: vault_reencrypt, then --retire.",
        f"Segment 0 of 1: {len(cards)} resealed; 0 left.",
        f"Retired: of {len(cards)} cards none is under key 1.",
    ]
