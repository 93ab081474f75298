"""Filters of the admin's lists under a name: saved, opened by a colleague with the same rights, deleted."""

import re

import pytest

from billing import filters
from billing.models import SavedFilter
from tests.factories import make_card, make_order, make_user
from tests.vault.admin.visitors import signed_in

pytestmark = pytest.mark.django_db
ORDERS, SAVE = "/admin/orders/order/", "/admin/filters/save/"
QUERY = "q=milk&status__exact=placed"


def make_filter(owner, **fields):
    return SavedFilter.objects.create(
        **{"owner": owner, "model": "orders.order", "name": "Milk", "query": QUERY} | fields
    )


@pytest.fixture
def ada():
    return make_user("ada", "orders.view_order", is_staff=True)


@pytest.fixture
def client(ada):
    return signed_in(ada)


@pytest.fixture
def bob():
    return make_user("bob", "orders.view_order", is_staff=True)


def save(client, query=QUERY, **fields):
    return client.post(SAVE, {"model": "orders.order", "name": "Milk", "query": query} | fields)


def opened(saved):
    return f"/admin/filters/{saved.pk}/"


def test_a_filter_is_saved_from_its_list_and_opened_by_a_short_link(client, ada):
    page = client.get(f"{ORDERS}?{QUERY}&p=1").text
    assert '<input type="hidden" name="query" value="q=milk&amp;status__exact=placed">' in page
    assert save(client)["Location"] == f"{ORDERS}?{QUERY}"
    saved = SavedFilter.objects.get()
    assert (saved.owner, saved.model, saved.name, saved.query, saved.is_shared) == (
        ada,
        "orders.order",
        "Milk",
        QUERY,
        False,
    )
    assert f'<a href="{opened(saved)}">Milk</a>' in client.get(ORDERS).text
    assert client.get(opened(saved))["Location"] == f"{ORDERS}?{QUERY}"


def test_a_list_without_a_filter_offers_none_to_save(client):
    assert SAVE not in client.get(ORDERS).text


def test_a_colleague_opens_what_is_shared_alone(client, ada, bob):
    own, shared = make_filter(ada), make_filter(ada, name="All milk", is_shared=True)
    other = signed_in(bob)
    assert other.get(opened(own)).status_code == 404
    assert other.get(opened(shared))["Location"] == f"{ORDERS}?{QUERY}"
    page = other.get(ORDERS).text
    assert opened(shared) in page
    assert "from ada" in page
    assert opened(own) not in page


def test_it_opens_nothing_to_whoever_may_not_see_the_list(ada):
    shared = make_filter(ada, is_shared=True)
    answer = signed_in(make_user("carl", "vault.view_card", is_staff=True)).get(opened(shared))
    assert answer.status_code == 404
    assert "milk" not in answer.text
    assert signed_in(make_user("eve")).get(opened(shared)).status_code == 302


def test_one_deletes_ones_own(client, ada, bob):
    own, others = make_filter(ada), make_filter(bob, is_shared=True)
    assert client.post(f"{opened(others)}delete/").status_code == 404
    assert client.get(f"{opened(own)}delete/").status_code == 405
    assert client.post(f"{opened(own)}delete/")["Location"] == ORDERS
    assert SavedFilter.objects.get() == others


@pytest.mark.parametrize(
    "query",
    ["", "p=3", "no_such_field=1", "customer__password__startswith=p", "x" * 1_001, "q=" + "é" * 400, "_popup=1"],
)
def test_what_is_no_filter_of_the_list_is_not_saved(client, query):
    answer = save(client, query)
    assert answer.status_code == 200
    assert "This is no filter of this list." in answer.text
    assert 'value="Milk"' in answer.text
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize("query", ["q={}", "q=x%20{}", "{}=1", "status__exact={}"])
def test_a_card_number_is_not_kept_and_not_repeated(client, canary, query):
    digits = canary("filter")
    answer = save(client, query.format(digits))
    assert "This is no filter of this list." in answer.text
    assert digits not in answer.text
    assert not SavedFilter.objects.exists()


def test_a_card_number_is_no_name(client, canary):
    digits = canary("name")
    answer = save(client, name=digits)
    assert digits not in answer.text
    assert 'value="q=milk&amp;status__exact=placed"' in answer.text
    assert not SavedFilter.objects.exists()


def test_filters_of_the_lists_own_kind_are_kept(client):
    boss = signed_in(make_user("boss", "vault.view_card", is_staff=True))
    save(boss, "expiry=30&keeping=hold&o=-2&created_at__year=2026", model="vault.card")
    assert SavedFilter.objects.get().query == "expiry=30&keeping=hold&o=-2&created_at__year=2026"


def test_a_name_is_taken_once(client, ada, bob):
    make_filter(bob)
    save(client)
    assert "Choose another name." in save(client).text
    assert SavedFilter.objects.filter(owner=ada).count() == 1


def test_there_is_an_end_to_how_many(client, ada, monkeypatch):
    monkeypatch.setattr(filters, "MOST", 1)
    make_filter(ada, name="First")
    assert "Delete one first." in save(client).text
    assert SavedFilter.objects.count() == 1


@pytest.mark.parametrize("model", ["vault.card", "billing.savedfilter", "no.such", "x", ""])
def test_a_list_that_one_may_not_see_takes_none(client, model):
    assert save(client, model=model).status_code == 404
    assert not SavedFilter.objects.exists()


def test_a_name_is_escaped(client):
    save(client, name="<script>alert(1)</script>")
    page = client.get(ORDERS).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_a_list_with_many_costs_one_query_more(client, ada, bob, canary, django_assert_max_num_queries):
    make_order(make_user("grace"), make_card(canary("order")))
    client.get(ORDERS)
    for number in range(20):
        make_filter(bob, name=f"Filter {number}", is_shared=True)
    with django_assert_max_num_queries(20) as queries:
        page = client.get(ORDERS).text
    assert len(re.findall(r'href="/admin/filters/\d+/"', page)) == 20
    assert sum("billing_savedfilter" in each["sql"] for each in queries.captured_queries) == 1


def test_without_a_second_factor_there_is_none(client, ada, settings):
    settings.STAFF_MFA_REQUIRED = True
    answer = client.get(opened(make_filter(ada)))
    assert answer.status_code == 302
    assert "milk" not in answer["Location"]
