"""The audit log cannot be written: no card goes in or out, and what is shown without one stays (trial A15)."""

from contextlib import suppress

import pytest

from orders.models import Order
from tests.factories import client_of, make_card, make_order, make_user
from tests.faults import Point
from vault.models import AuditEvent, Card

pytestmark = pytest.mark.django_db(transaction=True)
TOKENS, ORDERS = "/api/v1/tokens/", "/api/v1/orders/"
CONTENT = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}
PURPOSE = {"purpose": "refund", "reason": "charged twice"}
RIGHTS = ("orders.add_order", "vault.tokenize_pan", "vault.detokenize_pan", "vault.detokenize_unattended")


@pytest.fixture
def shop():
    return make_user("shop", *RIGHTS)


@pytest.fixture
def order(shop, canary):
    return make_order(shop, make_card(canary("kept before")))


def stdout_is_full(faults, monkeypatch, request):
    """A real device on which there is never room."""
    full = open("/dev/full", "w")  # noqa: SIM115, PTH123 - it stands for stdout
    request.addfinalizer(lambda: _close(full))
    monkeypatch.setattr("sys.stdout", full)


def _close(file):
    # What was never written is still in its buffer.
    with suppress(OSError):
        file.close()


def the_table_takes_nothing(faults, monkeypatch, request):
    # "The table is full", as MySQL says it of a full disk.
    faults.add("deny:1114 before write of vault_auditevent #*")


@pytest.mark.parametrize("fail", [stdout_is_full, the_table_takes_nothing], ids=lambda each: each.__name__)
def test_no_card_goes_in_or_out_that_cannot_be_recorded(
    faults, wire, shop, order, client, canary, monkeypatch, request, fail
):
    api = client_of(shop)
    client.force_login(shop)
    events, asked = AuditEvent.objects.count(), wire.calls.copy()
    fail(faults, monkeypatch, request)
    answers = [
        api.post(TOKENS, {"pan": canary("token")}),
        api.post(ORDERS, CONTENT | {"pan": canary("order")}),
        api.post(f"{TOKENS}{order.card.token}/detokenize/", PURPOSE),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "audit_unavailable")] * 3
    assert wire.calls == asked
    assert (Order.objects.count(), Card.objects.count()) == (1, 1)
    for address in ("/", "/orders/", f"/orders/{order.public_id}/"):
        assert order.card.last4 in client.get(address).text
    monkeypatch.undo()
    faults.clear()
    assert AuditEvent.objects.filter(outcome="done", operation="tokenize").count() == 1
    assert AuditEvent.objects.count() >= events
    assert api.post(ORDERS, CONTENT | {"pan": canary("afterwards")}).status_code == 201


@pytest.mark.parametrize("time", ["", " #2"], ids=["intent", "outcome"])
def test_a_slow_audit_log_is_waited_for_and_nothing_is_given_out_before(faults, shop, canary, time):
    """An outcome that cannot be written withholds the result, and the card is found when it comes again."""
    api, digits = client_of(shop), canary("token")
    faults.add(f"pause:0.3 before write of vault_auditevent{time}")
    answer = api.post(TOKENS, {"pan": digits})
    assert answer.status_code == 201
    assert answer.json()["token"] == Card.objects.get().token


def test_a_card_whose_outcome_cannot_be_recorded_is_not_given_out_and_has_its_token_later(faults, shop, canary):
    api, digits = client_of(shop), canary("token")
    faults.at(
        Point("after", "call TransactWriteItems"),
        lambda moment: faults.add("deny:1114 before write of vault_auditevent #*"),
    )
    refused = api.post(TOKENS, {"pan": digits})
    assert (refused.status_code, refused.json()["code"]) == (503, "audit_unavailable")
    assert "token" not in refused.json()
    token = Card.objects.get().token
    faults.clear()
    assert api.post(TOKENS, {"pan": digits}).json()["token"] == token
