"""The same request again: later, with another body, from another client, after an error (trial A10)."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from orders.models import Order
from tests.factories import client_of, make_card, make_order, make_saved_card, make_user, next_year
from vault.api.fields import ExpirySerializerField
from vault.models import AuditEvent, Card, IdempotentRequest

pytestmark = pytest.mark.django_db
TOKENS, ORDERS = "/api/v1/tokens/", "/api/v1/orders/"
CONTENT = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}
RIGHTS = ("vault.tokenize_pan", "orders.add_order", "orders.change_order")


@pytest.fixture
def shop():
    return make_user("shop", *RIGHTS)


@pytest.fixture
def api(shop):
    return client_of(shop)


def send(api, body, key="a-key", address=ORDERS):
    return api.post(address, body, headers={"Idempotency-Key": key})


def lapse():
    IdempotentRequest.objects.update(claimed_until=timezone.now())


def test_the_same_again_is_one_order_and_the_same_answer(api, canary):
    body = CONTENT | {"pan": canary("order")}
    first, again = send(api, body), send(api, body)
    assert [first.status_code, again.status_code] == [201, 201]
    assert first.json() == again.json()
    assert first["Location"] == again["Location"]
    assert (first.has_header("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (False, "true")
    assert Order.objects.count() == 1


def test_what_is_kept_tells_neither_key_nor_body(api, canary):
    digits = canary("order")
    send(api, CONTENT | {"pan": digits}, key="the-key-of-this-one")
    kept = str(IdempotentRequest.objects.values().get())
    assert digits not in kept
    assert "the-key-of-this-one" not in kept


def test_spaces_and_the_order_of_names_make_no_other_request(api, canary):
    digits = canary("token")
    headers = {"Idempotency-Key": "k"}
    one = api.post(
        TOKENS, f'{{"pan":"{digits}","expires":"2090-01"}}', content_type="application/json", headers=headers
    )
    two = api.post(
        TOKENS, f'{{ "expires": "2090-01", "pan": "{digits}" }}', content_type="application/json", headers=headers
    )
    assert two["Idempotency-Replayed"] == "true"
    assert one.json() == two.json()


@pytest.mark.parametrize("other", ["body", "address"])
def test_a_key_names_one_request(api, canary, other):
    first = send(api, CONTENT | {"pan": canary("order")})
    address = f"{ORDERS}{first.json()['id']}/cancel/" if other == "address" else ORDERS
    answer = send(api, {} if other == "address" else CONTENT | {"pan": canary("another")}, address=address)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Order.objects.get().status == Order.Status.PLACED


def test_another_client_has_keys_of_its_own(api, canary):
    body = CONTENT | {"pan": canary("order")}
    answers = [send(each, body) for each in (api, client_of(make_user("other", *RIGHTS)))]
    assert answers[0].json()["id"] != answers[1].json()["id"]


def test_while_the_first_is_carried_out_the_second_waits(api, canary):
    body = CONTENT | {"pan": canary("order")}
    send(api, body)
    IdempotentRequest.objects.update(status=None, claimed_until=timezone.now() + timedelta(seconds=5))
    answer = send(api, body)
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (409, "idempotency_in_progress", "1")
    assert Order.objects.count() == 1


def test_a_claim_that_lapsed_after_the_order_was_placed_finds_that_order(api, canary):
    body = CONTENT | {"pan": canary("order")}
    first = send(api, body)
    IdempotentRequest.objects.update(status=None)
    lapse()
    again = send(api, body)
    assert (again.status_code, again.json()) == (201, first.json())
    assert Order.objects.count() == 1


def test_a_claim_that_lapsed_is_still_about_the_same_request(api, canary):
    send(api, CONTENT | {"pan": canary("order")})
    IdempotentRequest.objects.update(status=None)
    lapse()
    assert send(api, CONTENT | {"pan": canary("another")}).status_code == 422


def test_a_cancellation_whose_answer_was_lost_can_come_again(api, shop, canary):
    address = f"{ORDERS}{make_order(shop, make_card(canary('order'))).public_id}/cancel/"
    first = send(api, {}, address=address)
    IdempotentRequest.objects.update(status=None)
    lapse()
    again = send(api, {}, address=address)
    assert (first.status_code, again.status_code) == (200, 200)
    assert send(api, {}, key="another", address=address).json()["code"] == "order_not_cancellable"


def test_paying_again_twice_is_paying_again_once(api, shop, canary):
    saved = make_saved_card(shop, canary("order"))
    address = f"{ORDERS}{make_order(shop, saved.card).public_id}/pay-again/"
    answers = [send(api, {"token": str(saved.token)}, address=address) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert Order.objects.count() == 2


def test_after_a_refusal_the_key_is_free(api, canary):
    refused = send(api, CONTENT)
    assert (refused.status_code, IdempotentRequest.objects.count()) == (400, 0)
    assert send(api, CONTENT | {"pan": canary("order")}).status_code == 201


def test_after_24_hours_it_is_another_request(api, canary):
    body = CONTENT | {"pan": canary("order")}
    first = send(api, body)
    IdempotentRequest.objects.update(expires_at=timezone.now())
    again = send(api, body)
    assert first.json()["id"] != again.json()["id"]
    assert IdempotentRequest.objects.get().expires_at > timezone.now() + timedelta(hours=23)


def test_what_has_expired_is_deleted(api, canary):
    send(api, CONTENT | {"pan": canary("order")})
    assert IdempotentRequest.objects.forget_expired() == 0
    IdempotentRequest.objects.update(expires_at=timezone.now())
    call_command("vault_purge")
    assert not IdempotentRequest.objects.exists()


def test_digits_are_read_again_through_policy_and_audit_and_never_kept(leaks, canary):
    card = make_card(digits := canary("reading"))
    leaks.allow("reading", sink="http", reason="the number is what was asked for")
    reader = make_user("job", "vault.detokenize_pan", "vault.detokenize_unattended")
    body = {"purpose": "refund", "reason": "charged twice"}
    answers = [send(client_of(reader), body, address=f"{TOKENS}{card.token}/detokenize/") for _ in range(2)]
    assert [answer.json()["pan"] for answer in answers] == [digits, digits]
    assert not answers[1].has_header("Idempotency-Replayed")
    assert AuditEvent.objects.filter(operation="detokenize", outcome="done").count() == 2
    assert IdempotentRequest.objects.get().answer == ""


def test_a_right_that_was_revoked_is_not_replayed(api, shop, canary):
    body = {"pan": canary("token")}
    send(api, body, address=TOKENS)
    shop.user_permissions.clear()
    assert send(api, body, address=TOKENS).status_code == 403


def test_a_search_is_made_again_and_recorded_again(canary):
    card = make_card(digits := canary("search"))
    searcher = make_user("searcher", "vault.search_pan")
    answers = [send(client_of(searcher), {"pan": digits}, address=f"{TOKENS}search/") for _ in range(2)]
    assert [answer.json()["token"] for answer in answers] == [card.token] * 2
    assert AuditEvent.objects.filter(operation="search", outcome="done").count() == 2


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(api, canary, wire, key):
    wire.calls.clear()
    answer = send(api, CONTENT | {"pan": canary("order")}, key=key)
    assert (answer.status_code, answer.json()["errors"][0]["header"]) == (400, "Idempotency-Key")
    assert not Card.objects.exists()


def test_a_card_number_is_no_key(api, canary):
    digits = canary("key")
    answer = send(api, CONTENT | {"pan": canary("order")}, key=digits)
    assert answer.json()["errors"] == [
        {
            "header": "Idempotency-Key",
            "code": "contains_pan",
            "detail": answer.json()["errors"][0]["detail"],
        }
    ]
    assert not Card.objects.exists()


def test_a_repetition_that_is_refused_does_not_free_the_key_of_what_may_have_been_done(api, canary, monkeypatch):
    body = CONTENT | {"pan": canary("order"), "expires": f"{next_year():%Y-%m}"}
    send(api, body)
    IdempotentRequest.objects.update(status=None)
    lapse()
    monkeypatch.setattr(ExpirySerializerField, "to_internal_value", lambda self, _: self.fail("expired"))
    assert send(api, body).status_code == 400
    monkeypatch.undo()
    assert send(api, CONTENT | {"pan": canary("another")}).json()["code"] == "idempotency_key_reused"
    assert send(api, body).json()["id"] == Order.objects.get().public_id


def test_a_cancellation_comes_again_with_the_etag_from_before_it(api, shop, canary):
    address = f"{ORDERS}{make_order(shop, make_card(canary('order'))).public_id}/"
    headers = {"Idempotency-Key": "k", "If-Match": api.get(address)["ETag"]}
    answers = [api.post(f"{address}cancel/", {}, headers=headers)]
    IdempotentRequest.objects.update(status=None)
    lapse()
    answers.append(api.post(f"{address}cancel/", {}, headers=headers))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert api.post(f"{address}cancel/", {}, headers=headers | {"Idempotency-Key": "l"}).status_code == 412


def test_an_order_that_was_paid_again_is_found_though_its_card_was_erased_since(api, shop, canary):
    saved = make_saved_card(shop, canary("order"))
    address = f"{ORDERS}{make_order(shop, saved.card).public_id}/pay-again/"
    first = send(api, {"token": str(saved.token)}, address=address)
    IdempotentRequest.objects.update(status=None)
    lapse()
    Card.objects.update(status=Card.Status.ERASED)
    again = send(api, {"token": str(saved.token)}, address=address)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert Order.objects.count() == 2
