"""Lists too long to be counted: pages by key, each row once, and a bounded look for what is searched."""

import re

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders.models import Order
from tests.factories import make_card, make_orders, make_user
from tests.plans import plan_of
from vault.admin import longlists
from vault.models import AuditEvent

pytestmark = pytest.mark.django_db
ORDERS = "/admin/orders/order/"
MANY = 30


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(longlists, "COUNTED", 12)
    monkeypatch.setattr(longlists, "STRETCH", 10)
    monkeypatch.setattr(site.get_model_admin(Order), "list_per_page", 4)


@pytest.fixture
def clerk(client):
    client.force_login(make_user("clerk", "orders.view_order", "orders.change_order", is_staff=True))
    return client


@pytest.fixture
def card(canary):
    return make_card(canary("list"))


@pytest.fixture
def orders(card):
    """The newest first; two and two are of the same moment."""
    made = make_orders(MANY, make_user("carl"), card)
    for newer, older in zip(made[::2], made[1::2], strict=True):
        Order.objects.filter(pk=older.pk).update(placed_at=newer.placed_at)
    return sorted(Order.objects.all(), key=lambda order: (order.placed_at, order.pk), reverse=True)


def page_of(client, query=""):
    """The orders of a page, and where its links lead, by their names."""
    text = client.get(f"{ORDERS}{query or '?'}").text
    rows = re.findall(r'<th class="field-public_id"><a [^>]*>(ord_\w+)</a>', text)
    _, _, shown = text.partition('<p class="paginator">')
    links = re.findall(r'<a href="([^"]+)">(\w+)</a>', shown.partition("</p>")[0])
    return rows, {title: address.replace("&amp;", "&") for address, title in links}, shown.partition("</form>")[0]


def turned(client, query, title):
    """The orders of all pages from one on, as long as there is such a link."""
    pages = []
    while query is not None:
        rows, links, _ = page_of(client, query)
        pages.append(rows)
        query = links.get(title)
    return pages


def ids(orders):
    return [order.public_id for order in orders]


def test_pages_by_key_have_each_order_once_in_either_direction(clerk, orders):
    down = turned(clerk, "", "Older")
    assert [public_id for page in down for public_id in page] == ids(orders)
    assert [len(page) for page in down] == [4] * 7 + [2]
    up = turned(clerk, "?p=oldest", "Newer")
    assert [public_id for page in up[::-1] for public_id in page] == ids(orders)


def test_the_ends_lead_to_each_other_and_say_that_more_are_there_than_were_counted(clerk, orders):
    rows, links, text = page_of(clerk)
    assert (rows, list(links)) == (ids(orders[:4]), ["Older", "Oldest"])
    assert "More than 12 orders" in text
    rows, links, _ = page_of(clerk, links["Oldest"])
    assert (rows, list(links)) == (ids(orders[-4:]), ["Newest", "Newer"])
    assert page_of(clerk, links["Newest"])[0] == ids(orders[:4])
    _, links, _ = page_of(clerk, page_of(clerk)[1]["Older"])
    assert list(links) == ["Newest", "Newer", "Older", "Oldest"]


def test_the_way_back_leads_to_the_page_before(clerk, orders):
    _, links, _ = page_of(clerk, page_of(clerk)[1]["Older"])
    assert page_of(clerk, links["Newer"])[0] == ids(orders[:4])
    _, links, _ = page_of(clerk, page_of(clerk, "?p=oldest")[1]["Newer"])
    assert page_of(clerk, links["Older"])[0] == ids(orders[-4:])


def test_an_order_placed_meanwhile_moves_none_to_another_page(clerk, orders, card):
    _, links, _ = page_of(clerk)
    make_orders(3, orders[0].customer, card)
    assert page_of(clerk, links["Older"])[0] == ids(orders[4:8])


def test_up_to_the_count_a_list_has_numbers_and_is_sorted_by_any_column(clerk, orders):
    keys = [order.pk for order in orders[:12]]
    Order.objects.exclude(pk__in=keys).delete()
    rows, _, text = page_of(clerk, "?p=3")
    assert rows == ids(orders[8:12])
    assert re.search(r'class="this-page">3</span>.*12 orders', text, re.DOTALL)
    Order.objects.filter(pk=orders[7].pk).update(name="A first one")
    assert page_of(clerk, "?o=2")[0][0] == orders[7].public_id


def test_a_long_list_stays_sorted_by_date_and_says_so(clerk, orders):
    Order.objects.filter(pk=orders[7].pk).update(name="A first one")
    rows, _, text = page_of(clerk, "?o=2")
    assert rows == ids(orders[:4])
    assert "A list this long is sorted by date." in text
    assert 'class="sortoptions"' not in clerk.get(ORDERS).text


def test_a_search_looks_through_a_stretch_and_goes_on_from_its_end(clerk, orders):
    rare = [orders[3], orders[4], orders[9], orders[10], orders[29]]
    Order.objects.filter(pk__in=[order.pk for order in rare]).update(name="Grinder")
    rows, links, text = page_of(clerk, "?q=grinder")
    assert rows == ids(rare[:3])
    assert "10 orders were looked through, back to" in text
    assert "More than" not in text
    assert page_of(clerk, links["Older"])[0] == ids(rare[3:4])
    assert turned(clerk, "?q=grinder", "Older") == [ids(rare[:3]), ids(rare[3:4]), ids(rare[4:])]
    assert turned(clerk, "?q=grinder&p=oldest", "Newer") == [ids(rare[4:]), ids(rare[3:4]), ids(rare[:3])]


def test_a_search_without_a_match_reads_no_more_than_a_stretch_of_a_page(clerk, orders):
    rows, links, text = page_of(clerk, "?q=teapot")
    assert (rows, list(links)) == ([], ["Older", "Oldest"])
    assert "“Older” goes on from there." in text
    assert [len(page) for page in turned(clerk, "?q=teapot", "Older")] == [0, 0, 0]


def test_a_full_page_is_left_within_a_stretch(clerk, orders):
    pages = turned(clerk, "?q=milk", "Older")
    assert [public_id for page in pages for public_id in page] == ids(orders)
    assert "looked through" not in page_of(clerk, "?q=milk")[2]


@pytest.mark.parametrize("query", ["status__exact=cancelled", "currency__exact=USD", "placed_at__month={month}"])
def test_a_filter_is_looked_for_in_stretches_as_well(clerk, orders, query):
    month = timezone.localtime(orders[0].placed_at).month
    Order.objects.filter(pk__in=[orders[1].pk, orders[28].pk]).update(status="cancelled", currency="USD")
    with CaptureQueriesContext(connection) as queries:
        pages = turned(clerk, f"?{query.format(month=month)}", "Older")
    assert len(pages) >= 3
    if "month" not in query:
        assert [public_id for page in pages for public_id in page] == ids([orders[1], orders[28]])
    assert not any("COUNT(" in each["sql"] and "orders_order" in each["sql"] for each in queries)


def test_dates_alone_are_found_by_index_and_counted(clerk, orders):
    Order.objects.filter(pk__in=[order.pk for order in orders[20:]]).update(placed_at="2020-05-05 12:00Z")
    rows, _, text = page_of(clerk, "?placed_at__year=2020")
    assert len(rows) == 4
    assert "10 orders" in text
    assert "looked through" not in text


@pytest.mark.parametrize("key", ["0", "x", "9" * 30, "\x00", "1" * 200])
@pytest.mark.parametrize("side", ["older", "newer"])
def test_a_border_that_is_none_leads_back_to_the_list(clerk, orders, side, key):
    answer = clerk.get(ORDERS, {"p": f"{side}-{key}"}, follow=True)
    assert answer.status_code == 200
    assert orders[0].public_id in answer.text


def test_all_rows_of_a_page_can_be_chosen_and_no_others(clerk, orders):
    text = clerk.get(ORDERS).text
    assert "0 of 4 selected" in text
    assert "Select all 4" not in text
    assert "across all pages" not in text
    assert "_facets" not in text


def test_an_action_on_a_later_page_meets_what_was_chosen_there(clerk, orders):
    later = page_of(clerk)[1]["Older"]
    answer = clerk.post(ORDERS + later, {"action": "export_chosen", "_selected_action": [orders[5].pk]})
    lines = b"".join(answer.streaming_content).decode()
    assert [each.public_id for each in orders if each.public_id in lines] == ids(orders[5:6])


def test_a_file_has_all_that_a_search_finds_and_its_event_the_number(clerk, orders):
    Order.objects.filter(pk__in=[orders[1].pk, orders[28].pk]).update(name="Grinder")
    lines = b"".join(clerk.get(f"{ORDERS}csv/?q=grinder&p=oldest").streaming_content).decode()
    assert [each.public_id for each in orders if each.public_id in lines] == ids([orders[1], orders[28]])
    assert AuditEvent.objects.get(operation="list.export").details["rows"] == 2


def test_as_many_queries_however_long_the_list_is(clerk, orders, card):
    counts = []
    clerk.get(ORDERS)
    for more in (0, 50):
        make_orders(more, orders[0].customer, card)
        found = []
        for query in ("?", "?q=milk", "?q=teapot", "?p=oldest"):
            with CaptureQueriesContext(connection) as queries:
                clerk.get(ORDERS + query)
            found.append(len(queries))
        counts.append(found)
    assert counts[0] == counts[1]
    assert max(counts[0]) <= 14


def test_the_keys_of_a_page_and_the_end_of_a_stretch_are_read_from_an_index_alone(clerk, orders):
    with CaptureQueriesContext(connection) as queries:
        clerk.get(ORDERS + page_of(clerk)[1]["Older"])
        clerk.get(f"{ORDERS}?q=teapot")
    asked = [each["sql"] for each in queries if re.search("LIMIT 5$|LIMIT 2 OFFSET 9$", each["sql"])]
    keys = [sql for sql in asked if "LIKE" not in sql]
    assert {sql.partition(" LIMIT ")[2] for sql in keys} == {"5", "2 OFFSET 9"}
    for sql in keys:
        (step,) = plan_of(sql)
        assert re.search("Using index|COVERING INDEX", step), (sql, step)
        assert "filesort" not in step, (sql, step)
