"""What a list asks of SQL, and that it shows what the benchmark's peer shows. That is the same for any number of orders."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.fields import Field

from benchmarks import plain
from tests.factories import client_of, make_card, make_orders, make_user

pytestmark = pytest.mark.django_db
PAGE, API = "/orders/", "/api/v1/orders/?page_size=25"
#: Queries of the first page and of one further down, which is found by the order that it comes after.
QUERIES = {PAGE: (4, 5), API: (6, 7)}


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def clients(client, customer):
    client.force_login(customer)
    # The first page of a session notes whose it is, and the first use of a token when it was.
    client.get("/")
    api = client_of(customer)
    api.get(API)
    return {PAGE: client, API: api}


def ask(clients, address, query=""):
    """The answer and how many queries it took."""
    with CaptureQueriesContext(connection) as queries:
        answer = clients[address].get(address + query)
    assert answer.status_code == 200
    return answer, len(queries)


@pytest.mark.parametrize(("address", "query"), [(PAGE, "?before={}"), (API, "&cursor=older-{}")], ids=["page", "API"])
def test_every_page_of_any_list_takes_as_many_queries_and_no_call_of_aws(
    wire, clients, customer, canary, address, query
):
    card, found = make_card(canary("list")), []
    for count in (60, 240):
        orders = make_orders(count, customer, card)
        wire.calls.clear()
        far = orders[count // 2].public_id
        found.append((ask(clients, address)[1], ask(clients, address, query.format(far))[1]))
        assert not wire.calls
    assert found == [QUERIES[address]] * 2


@pytest.mark.parametrize(("address", "query"), [(PAGE, "?before={}"), (API, "&cursor=older-{}")], ids=["page", "API"])
def test_of_the_order_that_a_page_comes_after_no_more_is_read_than_where_it_stands(
    clients, customer, canary, address, query
):
    orders = make_orders(3, customer, make_card(canary("list")))
    with CaptureQueriesContext(connection) as queries:
        clients[address].get(address + query.format(orders[0].public_id))
    (border,) = [each["sql"] for each in queries if re.search(r"\bpublic_id\W+=", each["sql"])]
    assert "placed_at" in border
    assert "description" not in border


def test_a_row_of_the_api_makes_no_serializer_of_its_own(clients, customer, canary, monkeypatch):
    made, counts, begin = [], [], Field.__init__
    monkeypatch.setattr(
        Field, "__init__", lambda self, *args, **options: made.append(self) or begin(self, *args, **options)
    )
    for count in (1, 19):
        make_orders(count, customer, make_card(canary(f"list of {count}")))
        made.clear()
        ask(clients, API)
        counts.append(len(made))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("asks_for_erasures", [True, False], ids=["asks", "believes"])
@pytest.mark.parametrize("address", [PAGE, API], ids=["page", "API"])
def test_the_peer_shows_the_same_and_asks_sql_as_often(clients, customer, canary, address, asks_for_erasures):
    make_orders(60, customer, make_card(canary("list")))
    ours = ask(clients, address)
    with plain.served(asks_for_erasures=asks_for_erasures):
        theirs = ask(clients, address)
    assert _shown(ours[0]) == _shown(theirs[0])
    assert ours[1] == theirs[1]


def _shown(answer):
    """But for what is drawn anew for each answer."""
    return re.sub(r'(nonce|csrfmiddlewaretoken" value)="[^"]+"', "", answer.text)
