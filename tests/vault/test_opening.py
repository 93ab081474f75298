"""Opening: an item is given out if it is the one last written, and else what is wrong with it is said exactly."""

import pytest

from tests.cards import NUMBERS
from tests.factories import make_user
from vault import services
from vault.backend import Vault
from vault.exceptions import RecordTampered, Tampering, TokenNotFound
from vault.models import AuditEvent, Card, ItemChange
from vault.pan import PAN
from vault.rotation import Rotation
from vault.store import ItemState
from vault.tokens import Token

pytestmark = pytest.mark.django_db
VISA, AMEX = PAN(NUMBERS["visa"][0]), PAN(NUMBERS["amex"][0])


@pytest.fixture
def cards():
    return [services.tokenize(pan).card for pan in (VISA, AMEX)]


@pytest.fixture
def read(cards):
    reader = make_user("ray", "vault.detokenize_pan")
    return lambda card=cards[0]: services.detokenize(card.token, actor=reader, purpose="refund: charged twice")


def raw(vault, token):
    return vault.store.read([Token.parse(token)])[Token.parse(token)]


def put(vault, item):
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=item)


def rewritten(vault, card):
    """The card's item, written anew behind the back of SQL."""
    token = Token.parse(card.token)
    rewrite = vault.store.rewrite(token, raw(vault, card.token))
    assert vault.store.commit(rewrite)
    return rewrite


def kind_of(read, *args):
    with pytest.raises(RecordTampered) as caught:
        read(*args)
    return caught.value.kind


def test_an_older_item_put_back_is_refused(vault, cards, read):
    old = raw(vault, cards[0].token)
    after = rewritten(vault, cards[0]).after
    Card.objects.filter(token=cards[0].token).update(item_version=after.version, item_digest=after.digest)
    assert read() == VISA
    put(vault, old)
    assert kind_of(read) is Tampering.OLDER


def test_an_item_that_sql_knows_nothing_of_is_refused(vault, cards, read):
    rewritten(vault, cards[0])
    assert kind_of(read) is Tampering.UNRECORDED


def test_both_states_are_good_while_an_item_is_being_written_anew(vault, cards, read):
    rewrite = vault.store.rewrite(Token.parse(cards[0].token), raw(vault, cards[0].token))
    ItemChange.objects.create(card=cards[0], version=rewrite.after.version, digest=rewrite.after.digest)
    assert read() == VISA
    assert vault.store.commit(rewrite)
    assert read() == VISA
    ItemChange.objects.update(digest="0" * 64)
    assert kind_of(read) is Tampering.UNRECORDED


def test_a_reader_who_came_between_row_and_item_looks_again(vault, cards, read, monkeypatch):
    store, row = vault.store, Card.objects.filter(token=cards[0].token)
    first = store.read

    def slow(tokens):
        monkeypatch.setattr(store, "read", first)
        items = first(tokens)
        after = rewritten(vault, cards[0]).after
        row.update(item_version=after.version, item_digest=after.digest)
        return items

    monkeypatch.setattr(store, "read", slow)
    row.update(item_version=7)
    assert read() == VISA


def test_readers_of_many_cards_look_again_at_the_doubtful_ones_alone(vault, cards, monkeypatch):
    reader = make_user("ray", "vault.detokenize_pan")
    store, looks = vault.store, iter([cards[0], cards[1], cards[0]])
    real = store.read

    def reading(tokens):
        # Each look finds one card in the state that its row gets just afterward.
        card = next(looks, None)
        if card is not None:
            monkeypatch.setattr(store, "read", real)
            after = rewritten(vault, card).after
            Card.objects.filter(token=card.token).update(item_version=after.version, item_digest=after.digest)
            monkeypatch.setattr(store, "read", reading)
        return real(tokens)

    monkeypatch.setattr(store, "read", reading)
    names = [card.token for card in cards]
    assert services.detokenize_many(names, actor=reader, purpose="refund: charged twice") == [VISA, AMEX]


def test_two_readers_who_need_the_newest_list_both_get_their_card(vault, cards, read, monkeypatch):
    stale = Vault(vault.config)
    assert stale.store
    real = stale.reload_keys
    Rotation(vault, sleep=lambda seconds: None).rotate_card_key()
    new = services.tokenize(PAN(NUMBERS["visa"][1])).card

    def reload():
        # Another thread was first.
        real()
        return real()

    monkeypatch.setattr(stale, "reload_keys", reload)
    monkeypatch.setattr("vault.opening.current_vault", lambda: stale)
    assert read(new) == PAN(NUMBERS["visa"][1])


def test_a_list_reread_at_the_last_look_is_enough(vault, cards, read, monkeypatch):
    stale = Vault(vault.config)
    store = stale.store
    Rotation(vault, sleep=lambda seconds: None).rotate_card_key()
    new = services.tokenize(PAN(NUMBERS["visa"][1])).card
    real, looks = store.read, iter([{}, {}])
    monkeypatch.setattr(store, "read", lambda tokens: next(looks, None) if looks.__length_hint__() else real(tokens))
    monkeypatch.setattr("vault.opening.current_vault", lambda: stale)
    assert read(new) == PAN(NUMBERS["visa"][1])


def test_two_items_swapped_are_refused_as_each_others(vault, cards, read):
    one, other = (raw(vault, card.token) for card in cards)
    put(vault, one | {"token": other["token"]})
    put(vault, other | {"token": one["token"]})
    assert kind_of(read, cards[0]) is Tampering.OTHER_CARD
    assert kind_of(read, cards[1]) is Tampering.OTHER_CARD


def test_an_item_under_a_foreign_key_is_refused_as_such(vault, settings, cards, read):
    kms = vault.session.kms()
    foreign = kms.create_key()["KeyMetadata"]["KeyId"]
    put(vault, sealed_under(vault, foreign, cards[0]))
    assert kind_of(read) is Tampering.FOREIGN_KEY


def sealed_under(vault, key, card):
    """The card sealed under another KMS key, by somebody who has all else that it takes."""
    from vault.keyring import CardKey, KeyRing

    keyring = KeyRing(sealing=CardKey(key), opening=(CardKey(key),))
    store = vault._build_store(keyring)
    record = vault.store.open([Token.parse(card.token)])[0].record
    return store._sealer.seal_card(record)


def test_an_item_that_names_a_key_which_is_not_listed_is_refused_before_kms_is_asked(wire, vault, cards, read):
    from dynamodb_encryption_sdk.internal.formatting.material_description import serialize

    from vault.records import MATERIAL_DESCRIPTION, deserialize

    item = raw(vault, cards[0].token)
    item[MATERIAL_DESCRIPTION] = serialize(deserialize(item[MATERIAL_DESCRIPTION]) | {"vault-card-key": "another"})
    put(vault, item)
    assert read(cards[1]) == AMEX
    before = wire.calls["Decrypt"]
    assert kind_of(read) is Tampering.FOREIGN_KEY
    assert wire.calls["Decrypt"] == before > 0


def test_a_card_without_a_row_or_without_an_item_is_not_there(vault, cards, read):
    vault.store.remove(Token.parse(cards[0].token))
    Card.objects.filter(token=cards[1].token).delete()
    for card in cards:
        with pytest.raises(TokenNotFound):
            read(card)


def test_the_alarm_says_what_is_wrong(vault, cards, read):
    rewritten(vault, cards[0])
    kind_of(read)
    alarm = AuditEvent.objects.get(is_alarm=True)
    assert (alarm.operation, alarm.details["kind"]) == ("card.tampered", "unrecorded")


def test_what_replaces_an_item_is_written_once(vault, cards):
    token = Token.parse(cards[0].token)
    rewrites = [vault.store.rewrite(token, raw(vault, token)) for _ in range(2)]
    assert [vault.store.commit(rewrite) for rewrite in rewrites] == [True, False]
    assert vault.store.state(token) == rewrites[0].after == ItemState.of(rewrites[0].item)
