"""Erasing: what goes, what stays, who may, and what a crash on the way leaves."""

import json

import pytest
from django.db import transaction

from tests.cards import NUMBERS
from tests.factories import make_user, next_year
from vault import erasure, services
from vault.backend import Vault
from vault.exceptions import AccessDenied, CardErased, OnHold, RecordTampered, TokenNotFound, VaultUnavailable
from vault.models import AuditEvent, Card, ErasureCertificate
from vault.pan import PAN
from vault.rotation import Rotation
from vault.services import Status
from vault.tokens import Token

pytestmark = pytest.mark.django_db
VISA = PAN(NUMBERS["visa"][0])
REASON = "The cardholder asked for it"


@pytest.fixture
def support():
    return make_user("sue", "vault.erase_card")


@pytest.fixture
def stored():
    return services.tokenize(VISA, expires=next_year()).card


@pytest.fixture
def stored_anywhere(any_vault):
    return services.tokenize(VISA, expires=next_year()).card


def keys(vault):
    return {item["token"]["S"] for item in vault.session.dynamodb().scan(TableName=vault.config.TABLE)["Items"]}


def test_the_items_go_and_the_row_stays(vault, stored, support):
    services.erase(stored.token, actor=support, reason=REASON)
    assert not any(key.startswith(("tok", "fp1_")) for key in keys(vault))
    stored.refresh_from_db()
    assert (stored.status, stored.brand, stored.last4) == ("erased", "visa", VISA.last4)
    assert stored.erased_at is not None


def test_an_erased_card_is_neither_found_nor_read(stored, support, settings):
    reader = make_user("ray", "vault.detokenize_pan", "vault.search_pan")
    services.erase(stored.token, actor=support, reason=REASON)
    assert services.find(VISA) is None
    assert services.search(VISA, actor=reader) is None
    with pytest.raises(CardErased):
        services.detokenize(stored.token, actor=reader, purpose="refund: charged twice")


def test_the_number_gets_a_new_token_afterwards(stored, support):
    services.erase(stored.token, actor=support, reason=REASON)
    again = services.tokenize(VISA)
    assert again.status is Status.CREATED
    assert again.token.text != stored.token


def test_a_card_that_a_crash_left_half_erased_gets_a_new_token_too(vault, stored):
    Card.objects.update(status=Card.Status.ERASED)
    again = services.tokenize(VISA)
    assert again.status is Status.CREATED
    assert again.token.text != stored.token
    assert stored.token not in keys(vault)


def test_the_certificate_says_what_and_why_and_kms_vouches_for_it(vault, stored, support):
    certificate = services.erase(stored.token, actor=support, reason=REASON)
    facts = json.loads(certificate.content)
    assert (facts["token"], facts["last4"], facts["reason"]) == (stored.token, VISA.last4, REASON)
    assert (facts["basis"], facts["actor_name"]) == ("request", "sue")
    signed = {"signature": certificate.signature, "key": certificate.key}
    vault.notary.verify(content=certificate.content, **signed)
    for changed in ({"content": certificate.content.replace("sue", "bob")}, {"signature": "AAAA"}, {"signature": "ä"}):
        with pytest.raises(RecordTampered):
            vault.notary.verify(**{"content": certificate.content, **signed, **changed})


def test_erasing_twice_gives_the_same_certificate(stored, support):
    first = services.erase(stored.token, actor=support, reason=REASON)
    assert services.erase(stored.token, actor=support, reason="again") == first
    assert ErasureCertificate.objects.count() == 1


def test_a_slow_erasure_takes_nothing_of_the_card_that_followed(any_vault, stored_anywhere, support, monkeypatch):
    store, real, again = any_vault.store, any_vault.store.owner, []

    def slow(item):
        owner = real(item)
        monkeypatch.setattr(store, "owner", real)
        again.append(services.tokenize(VISA))
        return owner

    monkeypatch.setattr(store, "owner", slow)
    services.erase(stored_anywhere.token, actor=support, reason=REASON)
    assert again[0].token.text != stored_anywhere.token
    assert services.find(VISA) == again[0].token


def test_an_erasure_beside_a_reencryption_leaves_no_fingerprint(vault, stored, support, monkeypatch):
    token = Token.parse(stored.token)
    rotation = Rotation(vault, sleep=lambda seconds: None)
    rotation.add_fingerprint_key()
    store, real = vault.store, vault.store.owner

    def slow(item):
        monkeypatch.setattr(store, "owner", real)
        assert store.commit(store.rewrite(token, store.read([token])[token]))
        return real(item)

    monkeypatch.setattr(store, "owner", slow)
    services.erase(stored.token, actor=support, reason=REASON)
    assert not any(key.startswith(("tok", "fp1_", "fp2_")) for key in keys(vault))


def test_a_process_that_does_not_know_the_newest_fingerprint_erases_it_too(vault, stored, support, monkeypatch):
    stale = Vault(vault.config)
    assert stale.store
    Rotation(vault, sleep=lambda seconds: None).add_fingerprint_key()
    new = services.tokenize(PAN(NUMBERS["amex"][0])).card
    for module in ("vault.services", "vault.erasure"):
        monkeypatch.setattr(f"{module}.current_vault", lambda: stale)
    services.erase(new.token, actor=support, reason=REASON)
    assert not any(key.startswith("fp2_") for key in keys(vault))


def test_a_crash_after_the_row_is_finished_by_the_next_call(vault, stored, support, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(vault.store, "remove", lambda token, pan: (_ for _ in ()).throw(VaultUnavailable()))
        with pytest.raises(VaultUnavailable):
            services.erase(stored.token, actor=support, reason=REASON)
    with pytest.raises(CardErased):
        services.mark_used(stored.token)
    assert erasure.finish(Card.objects.get()).card_id == stored.token
    assert stored.token not in keys(vault)


def test_what_is_not_erased_cannot_be_finished(stored):
    with pytest.raises(TokenNotFound):
        erasure.finish(stored)


@pytest.mark.parametrize("rights", [(), ("vault.view_card", "vault.detokenize_pan", "vault.hold_card")])
def test_it_takes_the_right(vault, stored, rights):
    actor = make_user("eve", *rights, is_superuser=True)
    with pytest.raises(AccessDenied):
        services.erase(stored.token, actor=actor, reason=REASON)
    with pytest.raises(AccessDenied):
        services.erase(stored.token, actor=None, reason=REASON)
    assert stored.token in keys(vault)
    assert not Card.objects.get().is_erased


@pytest.mark.parametrize(
    "reason", ["", "  ", "x" * 201, f"card {VISA.expose()} is lost"], ids=["no", "blank", "long", "pan"]
)
def test_it_takes_a_reason(vault, stored, support, reason):
    with pytest.raises(AccessDenied):
        services.erase(stored.token, actor=support, reason=reason)
    assert stored.token in keys(vault)


def test_the_cardholder_needs_no_right(stored):
    certificate = services.erase(stored.token, actor=make_user("carl"), reason=REASON, is_owner=True)
    assert json.loads(certificate.content)["basis"] == "cardholder"


def test_a_token_of_nobody_is_not_found(support):
    with pytest.raises(TokenNotFound):
        services.erase(Token.generate(), actor=support, reason=REASON)


def test_a_legal_hold_keeps_a_card_until_it_ends(vault, stored, support):
    lawyer = make_user("lea", "vault.hold_card")
    with pytest.raises(AccessDenied):
        erasure.hold(stored.token, actor=support, reason="Court order 7 K 12/26")
    erasure.hold(stored.token, actor=lawyer, reason="Court order 7 K 12/26")
    with pytest.raises(OnHold):
        services.erase(stored.token, actor=support, reason=REASON)
    with pytest.raises(OnHold):
        services.erase(stored.token, actor=support, reason=REASON, is_owner=True)
    assert stored.token in keys(vault)
    erasure.release(stored.token, actor=lawyer, reason="Case closed")
    assert services.erase(stored.token, actor=support, reason=REASON)


def test_who_erased_what_is_in_the_audit_log(stored, support):
    certificate = services.erase(stored.token, actor=support, reason=REASON)
    intent, done = AuditEvent.objects.filter(operation="erase").order_by("pk")
    assert (intent.outcome, done.outcome, done.token, done.actor_name) == ("intent", "done", stored.token, "sue")
    assert done.details["certificate"] == certificate.number


@pytest.mark.django_db(transaction=True)
def test_a_card_is_not_erased_within_a_transaction_that_could_be_rolled_back(vault, stored, support):
    with pytest.raises(RuntimeError), transaction.atomic():
        services.erase(stored.token, actor=support, reason=REASON)
    assert stored.token in keys(vault)
    assert not Card.objects.get().is_erased
