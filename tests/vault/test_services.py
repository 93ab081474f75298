"""What each service guarantees, and what stands in the audit log of it."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from tests.cards import NUMBERS
from tests.factories import make_card, make_user, next_year
from tests.shop.models import Purchase
from tests.vault.test_opening import put, raw
from vault import services
from vault.backend import Vault
from vault.exceptions import CardErased, RecordTampered, TokenNotFound, VaultUnavailable
from vault.models import AuditEvent, Card, ErasureCertificate, RevealRequest
from vault.pan import PAN
from vault.purposes import Purpose
from vault.services import Status
from vault.store import ItemState
from vault.tokens import Token

pytestmark = pytest.mark.django_db
VISA, AMEX, MASTERCARD = (PAN(NUMBERS[brand][0]) for brand in ("visa", "amex", "mastercard"))
SIGNATURE = "*amzn-ddb-map-sig*"
PURPOSE = Purpose("refund", "charged twice")
LATER = date(2031, 3, 31)


@pytest.fixture
def reader():
    return make_user("ray", "vault.detokenize_pan", "vault.search_pan")


@pytest.fixture
def at_once(monkeypatch):
    """Two cards go to the vault at once, so that three are more than that."""
    monkeypatch.setattr(services, "_CARDS_AT_ONCE", 2)


def damage(vault, key):
    """The item under a token or a fingerprint gets a signature that nobody made."""
    item = vault.store._read([key])[key]
    put(vault, item | {SIGNATURE: {"B": bytes(len(item[SIGNATURE]["B"]))}})


def damage_fingerprint(vault, pan):
    damage(vault, vault.store.fingerprints(pan)[0])


def events(operation):
    """The intent and the outcome of the last operation of this name."""
    return list(AuditEvent.objects.filter(operation=operation).order_by("pk"))[-2:]


# --- Keeping --------------------------------------------------------------------------------------------------------


def test_many_cards_are_kept_in_order_each_with_its_expiry(at_once):
    known = services.tokenize(AMEX).card
    kept = services.tokenize_many([VISA, AMEX, MASTERCARD], expires=[None, LATER, next_year()])
    assert [each.status for each in kept] == [Status.CREATED, Status.UPDATED, Status.CREATED]
    assert [each.card.last4 for each in kept] == [VISA.last4, AMEX.last4, MASTERCARD.last4]
    assert [each.card.expires for each in kept] == [None, LATER, next_year()]
    assert [each.token.text for each in kept] == [each.card.token for each in kept]
    assert (kept[1].token.text, Card.objects.count()) == (known.token, 3)


def test_the_row_of_a_new_card_says_what_may_be_known_of_it(vault):
    before = timezone.now()
    kept = services.tokenize(VISA, expires=LATER)
    stored = Card.objects.get()
    assert (stored.brand, stored.bin, stored.last4, stored.expires) == ("visa", VISA.bin, VISA.last4, LATER)
    assert ItemState(stored.item_version, stored.item_digest) == ItemState.of(raw(vault, kept.token))
    assert before < stored.used_at == stored.sealed_at < timezone.now()
    assert (stored.retention, stored.retain_until) == ("expiry", date(2032, 9, 30))
    assert stored.is_external


def test_a_card_whose_row_was_rolled_back_gets_it_from_the_next_call(vault, reader):
    first = services.tokenize(VISA)
    Card.objects.all().delete()
    again = services.tokenize(VISA)
    assert (again.token, again.status) == (first.token, Status.CREATED)
    assert services.detokenize(again.token, actor=reader, purpose=PURPOSE) == VISA


@pytest.mark.parametrize("is_external", [True, False])
def test_where_a_token_goes_is_noted_of_each_card(is_external):
    services.tokenize(VISA, is_external=is_external)
    services.tokenize_many([AMEX], is_external=is_external)
    services.tokenize_each([MASTERCARD], expires=[None], is_external=is_external)
    assert set(Card.objects.values_list("is_external", flat=True)) == {is_external}
    assert Card.objects.count() == 3


def test_unless_it_is_said_a_token_goes_anywhere():
    services.tokenize_many([VISA])
    services.tokenize_each([AMEX], expires=[None])
    assert set(Card.objects.values_list("is_external", flat=True)) == {True}


def test_a_card_that_is_external_once_stays_so():
    services.tokenize(VISA)
    assert services.tokenize(VISA, is_external=False).card.is_external
    assert Card.objects.get().is_external


def test_every_card_has_an_expiry_or_none_of_them():
    with pytest.raises(ValueError, match="zip"):
        services.tokenize_many([VISA, AMEX], expires=[LATER])


def test_so_it_is_beside_a_card_that_was_tampered_with(vault):
    services.tokenize(VISA)
    damage_fingerprint(vault, VISA)
    with pytest.raises(ValueError, match="zip"):
        services.tokenize_each([VISA, AMEX], expires=[LATER])


def test_cards_of_one_batch_go_to_the_vault_together(vault, wire):
    assert vault.store
    wire.calls.clear()
    services.tokenize_many([VISA, AMEX, MASTERCARD])
    assert (wire.calls["BatchGetItem"], wire.calls["TransactWriteItems"]) == (1, 1)


def test_the_audit_log_says_how_many_cards_were_kept_under_which_tokens():
    one = services.tokenize(VISA)
    intent, done = events("tokenize")
    assert (intent.outcome, intent.cards, intent.token) == ("intent", 1, "")
    assert (done.outcome, done.token, done.details) == ("done", one.token.text, {})
    kept = services.tokenize_many([VISA, AMEX])
    intent, done = events("tokenize")
    assert (intent.cards, done.cards, done.token) == (2, 2, "")
    assert done.details == {"tokens": [each.token.text for each in kept]}


def test_a_call_for_no_card_does_nothing():
    assert services.tokenize_many([]) == services.tokenize_each([], expires=[]) == []
    assert not Card.objects.exists()


def test_a_vault_whose_keys_changed_meanwhile_is_asked_once_more(vault, monkeypatch):
    stale = Vault(vault.config)
    monkeypatch.setattr(stale.store, "keep", unavailable)
    now = iter([stale])
    monkeypatch.setattr("vault.services.current_vault", lambda: next(now, vault))
    assert services.tokenize(VISA).status is Status.CREATED


def test_a_vault_that_does_not_answer_is_not_asked_again(vault, monkeypatch):
    asked = []
    monkeypatch.setattr(vault.store, "keep", lambda pans: unavailable(asked.append(pans)))
    with pytest.raises(VaultUnavailable):
        services.tokenize(VISA)
    assert len(asked) == 1


def unavailable(*_):
    raise VaultUnavailable


# --- Keeping what can be kept ---------------------------------------------------------------------------------------


def test_each_card_that_can_be_is_kept_beside_one_that_was_tampered_with(vault, at_once):
    services.tokenize(VISA)
    damage_fingerprint(vault, VISA)
    kept = services.tokenize_each([AMEX, VISA, MASTERCARD], expires=[LATER, LATER, next_year()], is_external=False)
    assert isinstance(kept[1], RecordTampered)
    assert [(kept[index].status, kept[index].card.expires) for index in (0, 2)] == [
        (Status.CREATED, LATER),
        (Status.CREATED, next_year()),
    ]
    assert not Card.objects.exclude(last4=VISA.last4).filter(is_external=True).exists()


def test_if_the_only_card_was_tampered_with_that_is_the_answer(vault):
    services.tokenize(VISA)
    damage_fingerprint(vault, VISA)
    (answer,) = services.tokenize_each([VISA], expires=[None])
    assert isinstance(answer, RecordTampered)


# --- Handed in again ------------------------------------------------------------------------------------------------


def test_using_a_card_changes_no_other_and_is_seen_on_what_is_returned():
    used = services.tokenize(VISA, is_external=False).card
    others = [services.tokenize(AMEX).card, services.tokenize(MASTERCARD, expires=next_year()).card]
    moment = timezone.now()
    card = services.mark_used(used.token)
    stored = Card.objects.get(pk=used.pk)
    assert (stored.used_at, stored.is_external) == (card.used_at, False)
    assert card.used_at > moment
    services.tokenize(VISA, expires=LATER)
    assert Card.objects.get(pk=used.pk).expires == LATER
    for other in others:
        stored = Card.objects.get(pk=other.pk)
        assert (stored.used_at, stored.expires) == (other.used_at, other.expires)


def test_a_card_of_the_same_expiry_is_known_and_is_updated_by_another():
    services.tokenize(VISA, expires=LATER)
    statuses = [services.tokenize(VISA, expires=expires).status for expires in (LATER, None, next_year(), None)]
    assert statuses == [Status.EXISTING, Status.EXISTING, Status.UPDATED, Status.EXISTING]
    assert Card.objects.get().expires == next_year()


def test_a_card_that_is_used_is_kept_as_long_as_the_rules_of_now_say(settings):
    card = services.tokenize(VISA, expires=LATER).card
    settings.VAULT = settings.VAULT | {"RETENTION_AFTER_EXPIRY": 1}
    services.mark_used(card.token)
    assert Card.objects.get().retain_until == date(2031, 4, 30)


def test_an_erased_card_is_not_used():
    card = services.tokenize(VISA).card
    Card.objects.update(status=Card.Status.ERASED)
    with pytest.raises(CardErased):
        services.mark_used(card.token)
    assert Card.objects.get().used_at == card.used_at


def test_a_fingerprint_that_a_crash_left_of_an_erased_card_goes_when_its_number_comes_again(vault):
    first = services.tokenize(VISA)
    Card.objects.update(status=Card.Status.ERASED)
    vault.session.dynamodb().delete_item(TableName=vault.config.TABLE, Key={"token": {"S": first.token.text}})
    again = services.tokenize(VISA)
    assert again.status is Status.CREATED
    assert again.token != first.token


# --- Finding --------------------------------------------------------------------------------------------------------


def test_a_card_is_found_by_its_number_and_nothing_else_is_written():
    token = services.tokenize(VISA).token
    assert services.find(VISA) == token
    intent, done = events("find")
    assert (intent.outcome, done.outcome, done.token, done.details) == ("intent", "done", token.text, {})
    assert services.find(AMEX) is None
    assert (events("find")[1].token, events("find")[1].details) == ("", {})
    assert Card.objects.count() == 1


def test_what_a_crash_left_of_an_erased_card_is_not_found(reader):
    erased, kept = services.tokenize(VISA), services.tokenize(AMEX)
    Card.objects.filter(token=erased.token.text).update(status=Card.Status.ERASED)
    assert services.find(VISA) is services.search(VISA, actor=reader) is None
    assert events("search")[1].token == ""
    assert services.find(AMEX) == kept.token
    assert services.search(AMEX, actor=reader) == kept.card


def test_who_searched_and_what_was_found_is_in_the_audit_log(reader):
    services.tokenize(AMEX)
    card = services.tokenize(VISA).card
    assert services.search(VISA, actor=reader) == card
    intent, done = events("search")
    assert {event.actor_name for event in (intent, done)} == {"ray"}
    assert (intent.cards, intent.token, done.token, done.details) == (1, "", card.token, {})
    assert services.search(MASTERCARD, actor=reader) is None
    assert (events("search")[1].token, events("search")[1].details) == ("", {})


def test_the_searcher_stands_in_the_alarm_over_what_was_found(vault, reader):
    services.tokenize(VISA)
    damage_fingerprint(vault, VISA)
    with pytest.raises(RecordTampered):
        services.search(VISA, actor=reader)
    assert AuditEvent.objects.get(is_alarm=True).actor_name == "ray"


def test_a_card_is_described_without_the_vault(wire):
    card = services.tokenize(VISA).card
    wire.calls.clear()
    assert services.describe(card.token) == services.describe(Token.parse(card.token)) == card
    with pytest.raises(TokenNotFound):
        services.describe(Token.generate())
    assert not wire.calls


def test_rows_whose_card_is_erased_are_told_apart_in_sql():
    erased, kept = make_card(VISA.expose()), make_card(AMEX.expose())
    for card in (erased, kept):
        Purchase.objects.create(card=card.token)
    assert not Purchase.objects.filter(services.is_erased("card")).exists()
    Card.objects.filter(pk=erased.pk).update(status=Card.Status.ERASED)
    assert Purchase.objects.get(services.is_erased("card")).card.token.text == erased.token


@pytest.mark.parametrize("right", ["tokenize_pan", "view_card", "detokenize_pan"])
def test_who_keeps_cards_may_use_any_and_who_sees_them_may_follow_them(right):
    actor = make_user("shop", f"vault.{right}")
    assert services.may_use_any_token(actor) is (right == "tokenize_pan")
    assert services.may_follow_erasures(actor) is (right != "detokenize_pan")


def test_nobody_may_without_a_grant():
    for actor in (None, make_user("root", is_superuser=True)):
        assert not services.may_use_any_token(actor)
        assert not services.may_follow_erasures(actor)


# --- Erasures -------------------------------------------------------------------------------------------------------


def certify(pan, number, *, issued_at):
    card = make_card(pan.expose())
    Card.objects.filter(pk=card.pk).update(status="erased", erased_at=issued_at - timedelta(minutes=1))
    return ErasureCertificate.objects.create(number=number, card=card, issued_at=issued_at)


def test_an_erasure_is_what_its_certificate_says():
    now = timezone.now()
    certificate = certify(VISA, "era_1", issued_at=now)
    (found,) = services.erasures(since=now)
    assert found == services.Erasure(
        certificate="era_1",
        certified_at=now,
        token=certificate.card_id,
        brand="visa",
        last4=VISA.last4,
        erased_at=now - timedelta(minutes=1),
    )


def test_erasures_come_by_their_moment_and_then_by_their_number(django_assert_num_queries):
    """Numbers are drawn by lot: an earlier one may be the larger."""
    now = timezone.now()
    for pan, number, minutes in ((VISA, "era_9", 0), (AMEX, "era_2", 1), (MASTERCARD, "era_1", 1)):
        certify(pan, number, issued_at=now + timedelta(minutes=minutes))
    with django_assert_num_queries(1):
        found = services.erasures(since=now)
    assert [each.certificate for each in found] == ["era_9", "era_1", "era_2"]
    for index, each in enumerate(found):
        assert services.erasures(since=now, after=each) == found[index + 1 :]
    assert services.erasures(since=now, limit=2) == found[:2]
    assert services.erasures(since=now + timedelta(seconds=1)) == found[1:]


def test_no_more_than_500_erasures_come_at_once():
    now = timezone.now()
    tokens = [Token.generate().text for _ in range(501)]
    Card.objects.bulk_create(
        Card(token=token, status="erased", item_version=1, sealed_at=now, used_at=now) for token in tokens
    )
    ErasureCertificate.objects.bulk_create(
        ErasureCertificate(number=f"era_{number}", card_id=token, issued_at=now) for number, token in enumerate(tokens)
    )
    assert len(services.erasures(since=now)) == 500


# --- Reading --------------------------------------------------------------------------------------------------------


def test_one_reading_of_many_cards_is_one_operation_in_the_audit_log(reader):
    tokens = [services.tokenize(pan).token.text for pan in (VISA, AMEX)]
    assert services.detokenize_many(tokens, actor=reader, purpose="refund: charged twice") == [VISA, AMEX]
    for event in events("detokenize"):
        assert (event.actor_name, event.purpose, event.reason) == ("ray", "refund", "charged twice")
        assert (event.cards, event.token) == (2, "")
    intent, done = events("detokenize")
    assert (intent.details, done.details) == ({"tokens": tokens}, {})


def test_of_one_card_the_token_stands_in_its_column(reader):
    token = services.tokenize(VISA).token
    assert services.detokenize(token, actor=reader, purpose=PURPOSE) == VISA
    for event in events("detokenize"):
        assert (event.token, event.cards, event.details) == (token.text, 1, {})


def test_the_reader_and_the_purpose_stand_in_the_alarm_over_a_card(vault, reader):
    token = services.tokenize(VISA).token
    damage(vault, token.text)
    with pytest.raises(RecordTampered):
        services.detokenize(token, actor=reader, purpose=PURPOSE)
    alarm = AuditEvent.objects.get(is_alarm=True)
    assert (alarm.actor_name, alarm.token) == ("ray", token.text)
    assert (alarm.purpose, alarm.reason) == ("refund", "charged twice")


@pytest.mark.parametrize(
    "read", [services.detokenize_many, lambda tokens, **about: services.detokenize(*tokens, **about)]
)
def test_staff_read_with_the_request_that_was_approved(settings, read):
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True}
    staff = make_user("ada", "vault.detokenize_pan", is_staff=True)
    token = services.tokenize(VISA).token
    values = {"card_id": token.text, "requester": staff, "purpose": "refund", "reason": "charged twice"}
    asked = RevealRequest.objects.create(**values, state="opening", ticket="T-1", expires_at=timezone.now())
    assert read([token], actor=staff, purpose=PURPOSE, reveal=asked) in (VISA, [VISA])
    assert RevealRequest.objects.get().state == "shown"


def test_each_card_is_read_or_the_reason_why_not(vault, reader):
    good, tampered = (services.tokenize(pan).token.text for pan in (VISA, AMEX))
    damage(vault, tampered)
    unknown = Token.generate().text
    tokens = [good, tampered, unknown, "nonsense", good]
    found = services.detokenize_each(tokens, actor=reader, purpose=PURPOSE)
    assert found[0] == found[4] == VISA
    assert [type(each) for each in found[1:4]] == [RecordTampered, TokenNotFound, TokenNotFound]
    intent, done = events("detokenize")
    assert (intent.actor_name, intent.cards) == (done.actor_name, done.cards) == ("ray", 5)
    assert {(event.purpose, event.reason) for event in (intent, done)} == {("refund", "charged twice")}
    assert intent.details == {"tokens": [good, tampered, unknown, good]}
    assert done.details == {"opened": 1, "failed": {tampered: "RecordTampered", unknown: "TokenNotFound"}}


def test_the_alarm_over_one_of_many_names_it(vault, reader, settings, mailoutbox):
    settings.VAULT = settings.VAULT | {"ALARM_EMAILS": ["security@example.com"]}
    good, tampered = (services.tokenize(pan).token.text for pan in (VISA, AMEX))
    damage(vault, tampered)
    services.detokenize_each([good, tampered], actor=reader, purpose=PURPOSE)
    alarm = AuditEvent.objects.get(is_alarm=True)
    assert (alarm.operation, alarm.token, alarm.actor_name) == ("card.tampered", tampered, "ray")
    assert (alarm.purpose, alarm.reason, alarm.details) == ("refund", "charged twice", {"kind": "signature"})
    (message,) = mailoutbox
    assert message.subject == "[vault] A stored card failed its integrity check. Nothing was given out."


@pytest.mark.parametrize("missing", ["nonsense", Token.generate().text], ids=["malformed", "unknown"])
def test_of_all_or_none_those_that_could_be_read_are_left_sealed(wire, reader, missing):
    token = services.tokenize(VISA).token.text
    wire.calls.clear()
    found = services.detokenize_each([token, missing], actor=reader, purpose=PURPOSE, is_all_or_none=True)
    assert (found[0], type(found[1])) == (None, TokenNotFound)
    assert not wire.calls["Decrypt"]


def test_all_are_read_if_none_is_missing(reader):
    tokens = [services.tokenize(pan).token.text for pan in (VISA, AMEX)]
    found = services.detokenize_each(tokens, actor=reader, purpose=PURPOSE, is_all_or_none=True)
    assert found == [VISA, AMEX]


def test_a_fingerprint_key_of_another_place_raises_an_alarm_too(vault, reader):
    """It is unwrapped at the first use, before any card is read."""
    kms = vault.session.kms()
    blob = kms.generate_data_key(KeyId=vault.config.FINGERPRINT_KEY, NumberOfBytes=32)["CiphertextBlob"]
    client, key = vault.session.dynamodb(), {"token": {"S": "fingerprint-key#1"}}
    item = client.get_item(TableName=vault.config.TABLE, Key=key)["Item"]
    put(vault, item | {"wrapped_key": {"B": blob}})
    with pytest.raises(RecordTampered):
        services.detokenize_each([Token.generate().text], actor=reader, purpose=PURPOSE)
    alarm = AuditEvent.objects.get(is_alarm=True)
    assert (alarm.operation, alarm.actor_name, alarm.purpose) == ("card.tampered", "ray", "refund")
