"""The generated Python client: made from the description, typed, and working against a server."""

import filecmp
import logging
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from knox.models import AuthToken

from tests.contract.accounts import ALL_RIGHTS, make_account
from tests.factories import make_user, next_year

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "python"


@pytest.fixture
def shop(live_server, monkeypatch):
    """The example of the client, and a client for an account with all rights."""
    monkeypatch.syspath_prepend(CLIENT)
    import example

    client = example.connect(live_server.url, AuthToken.objects.create(make_account(ALL_RIGHTS))[1])
    with client:
        yield example, client


@pytest.mark.django_db(transaction=True)
class TestClient:
    def test_it_keeps_finds_reads_and_erases_a_card(self, shop, canary, leaks):
        from billing_client.api.tokens import describe_token, detokenize, erase_token, search_token, tokenize
        from billing_client.models import DetokenizationRequest, ErasureRequest, NewTokenRequest, SearchRequest

        _, client = shop
        digits = canary("token")
        leaks.allow("token", sink="http", reason="The client reads the number, which is what it is for.")
        expires = f"{next_year():%Y-%m}"
        kept = tokenize.sync(client=client, body=NewTokenRequest(pan=digits, expires=expires))
        described = describe_token.sync(kept.token, client=client)
        found = search_token.sync(client=client, body=SearchRequest(pan=digits))
        purpose = DetokenizationRequest(purpose="refund", reason="The customer sent it back.")
        read = detokenize.sync(kept.token, client=client, body=purpose)
        certificate = erase_token.sync(kept.token, client=client, body=ErasureRequest(reason="The customer left."))
        gone = detokenize.sync_detailed(kept.token, client=client, body=purpose)

        assert (kept.status, described.expires, described.last4) == ("created", expires, digits[-4:])
        assert found.token == kept.token
        assert (read.pan == digits, read.expires) == (True, expires)
        assert certificate.token == kept.token
        assert (gone.status_code, gone.parsed.code) == (410, "card_erased")

    def test_it_places_lists_cancels_and_pays_again(self, shop, canary):
        from billing_client.api.orders import cancel_order, get_order, list_orders, pay_order_again
        from billing_client.models import NewOrderRequest, PayAgainRequest

        example, client = shop
        new = NewOrderRequest(name="Milk jug", amount="24.90", currency="EUR", pan=canary("order"))
        order = example.buy(client, new)
        cancelled = cancel_order.sync(order.id, client=client)
        again = pay_order_again.sync(order.id, client=client, body=PayAgainRequest(token=order.card.token))
        listed = list_orders.sync(client=client, ordering="placed_at")

        assert (order.status, cancelled.status, cancelled.repeat_of) == ("placed", "cancelled", None)
        assert (again.repeat_of, again.amount) == (order.id, "24.90")
        assert [each.id for each in listed.results] == [order.id, again.id]
        assert get_order.sync(again.id, client=client) == again

    def test_a_key_makes_one_order_and_names_one_request(self, shop, canary):
        from billing_client.api.orders import place_order
        from billing_client.models import NewOrderRequest

        _, client = shop
        key = str(uuid.uuid4())
        new = NewOrderRequest(name="Milk jug", amount="24.90", currency="EUR", pan=canary("order"))
        first, same = (place_order.sync_detailed(client=client, body=new, idempotency_key=key) for _ in range(2))
        new.amount = "24.91"
        other = place_order.sync(client=client, body=new, idempotency_key=key)

        assert first.parsed == same.parsed
        assert same.headers["Idempotency-Replayed"] == "true"
        assert (other.status, other.code) == (422, "idempotency_key_reused")

    def test_an_error_is_a_problem(self, shop, canary):
        from billing_client.models import NewOrderRequest, Problem

        example, client = shop
        with pytest.raises(example.OrderRefusedError) as caught:
            example.buy(client, NewOrderRequest(name=canary("name"), amount="24.90", currency="EUR", pan="1"))
        problem = caught.value.problem
        assert isinstance(problem, Problem)
        assert (problem.status, problem.code) == (400, "invalid")
        assert ("/name", "contains_pan") in {(each.pointer, each.code) for each in problem.errors}

    def test_what_an_account_may_not_is_a_problem(self, shop, live_server, canary):
        from billing_client.api.tokens import tokenize
        from billing_client.models import NewTokenRequest

        example, _ = shop
        client = example.connect(live_server.url, AuthToken.objects.create(make_user("nobody"))[1])
        with client:
            problem = tokenize.sync(client=client, body=NewTokenRequest(pan=canary("token")))
        assert problem.code == "permission_denied"


def test_no_repr_has_a_card_number_or_a_token(monkeypatch, canary, caplog):
    monkeypatch.syspath_prepend(CLIENT)
    from billing_client import AuthenticatedClient
    from billing_client.models import NewOrderRequest, NewTokenRequest, NewTokensRequest, Revealed, RevealedRow
    from billing_client.types import Response

    digits = canary("a consumer's log")
    row = NewTokenRequest(pan=digits)
    client = AuthenticatedClient(base_url="http://localhost", token="a-secret", prefix="Token")
    client.get_httpx_client().close()
    revealed = Revealed(pan=digits, expires=None)
    answer = Response(status_code=200, content=digits.encode(), headers={}, parsed=revealed)
    order = NewOrderRequest(name="Jug", amount="1", currency="EUR", pan=digits)
    batch = NewTokensRequest(rows=[row])
    said = repr([row, batch, revealed, RevealedRow(index=0, status="read", pan=digits), answer, order, client])
    logging.getLogger("consumer").warning("%s", said)
    assert digits not in said
    assert "a-secret" not in said


def test_it_is_what_is_generated_from_the_description(tmp_path):
    made = tmp_path / "billing_client"
    subprocess.run([ROOT / "deploy" / "setup" / "client.sh", made], check=True, capture_output=True)
    assert differences(filecmp.dircmp(CLIENT / "billing_client", made, ignore=["__pycache__"])) == []


def differences(compared):
    """The names of all files that are on one side only, or not the same."""
    found = compared.left_only + compared.right_only + compared.diff_files + compared.funny_files
    return found + [name for each in compared.subdirs.values() for name in differences(each)]


def test_the_example_is_typed(tmp_path):
    environment = {"MYPYPATH": str(CLIENT), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}", "--config-file=", "example.py"]
    done = subprocess.run(command, cwd=CLIENT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_card_digits_stand_in_it():
    for path in CLIENT.rglob("*.py"):
        assert not re.search(r"[0-9](?:[ -]?[0-9]){11,18}", path.read_text()), path.name
