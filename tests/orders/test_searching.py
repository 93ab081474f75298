"""The search of a customer's own orders: what it finds, what it refuses, and that no card number goes anywhere."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders.models import Order
from orders.searching import OrderSearch
from tests.factories import make_card, make_order, make_orders, make_user

pytestmark = pytest.mark.django_db
MIDDLEWARE = "vault.middleware.RefusePANInURLMiddleware"
ROW = '<th scope="row">'


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def browser(client, customer):
    client.force_login(customer)
    return client


@pytest.fixture
def jug(customer, canary):
    return make_order(customer, make_card(canary("jug")), name="Milk jug", description="Half a liter, 50% off")


@pytest.fixture
def grinder(customer, canary):
    return make_order(customer, make_card(canary("grinder")), name="Grinder", description="Flat burrs")


def found(customer, **query):
    search = OrderSearch(query)
    assert search.is_valid(), search.errors
    return list(search.found_in(Order.objects.for_customer(customer)))


# --- What is found --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["milk", "JUG milk", "  jug  ", "half", "jug liter", "50%", "{number}", "{NUMBER}", "{beginning}", "{last4}"],
)
def test_an_order_is_found_by(customer, jug, grinder, text):
    number = jug.public_id
    words = {"number": number, "NUMBER": number.upper(), "beginning": number[:9], "last4": jug.card.last4}
    assert found(customer, q=text.format(**words)) == [jug]


@pytest.mark.parametrize("text", ["milk burrs", "5_%", "%", "_", "{inner}", "{last3}", "ada@example.com"])
def test_it_is_not_found_by(customer, jug, grinder, text):
    jug.description = ""
    jug.save()
    assert found(customer, q=text.format(inner=jug.public_id[4:], last3=jug.card.last4[1:])) == []


def test_nobody_finds_the_orders_of_another_customer(browser, jug):
    stranger = make_user("bob")
    for text in ("", "milk", jug.public_id, jug.card.last4):
        assert found(stranger, q=text) == []
    other = make_order(stranger, jug.card, name="Milk of Bob")
    assert other.public_id not in browser.get("/orders/?q=milk").text


def test_orders_are_found_by_status(customer, jug, grinder):
    Order.objects.filter(pk=jug.pk).update(status="cancelled")
    assert found(customer, status="cancelled") == [jug]
    assert found(customer, status="placed") == [grinder]
    assert len(found(customer, status="")) == 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"placed_from": "2026-03-02"}, ["end of the 3rd", "noon of the 2nd"]),
        ({"placed_to": "2026-03-02"}, ["noon of the 2nd", "end of the 1st"]),
        ({"placed_from": "2026-03-02", "placed_to": "2026-03-02"}, ["noon of the 2nd"]),
        ({"placed_from": "2026-03-03", "placed_to": "2026-03-03"}, ["end of the 3rd"]),
    ],
)
def test_the_first_and_the_last_day_are_included_in_the_time_zone_of_the_site(settings, customer, jug, query, names):
    settings.TIME_ZONE = "Europe/Berlin"
    Order.objects.all().delete()
    for name, moment in (
        ("end of the 1st", datetime(2026, 3, 1, 22, 59, 59, tzinfo=UTC)),
        ("noon of the 2nd", datetime(2026, 3, 2, 12, tzinfo=ZoneInfo("Europe/Berlin"))),
        ("end of the 3rd", datetime(2026, 3, 3, 22, 59, 59, 999999, tzinfo=UTC)),
    ):
        make_order(customer, jug.card, name=name, placed_at=moment)
    assert [order.name for order in found(customer, **query)] == names


@pytest.mark.parametrize("day", ["2000-01-01", "2099-12-31"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Niue"])
def test_the_ends_of_the_calendar_are_in_every_time_zone(customer, zone, day):
    with timezone.override(ZoneInfo(zone)):
        assert found(customer, placed_from=day, placed_to=day) == []


# --- What is refused ------------------------------------------------------------------------------------------------

WRONG = "2026-02-30"
DATE, YEAR = "Enter a date as year, month and day, such as 2026-11-30.", "Enter a year from 2000 to 2099."


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("placed_from", "yesterday-ish", DATE),
        ("placed_to", WRONG, DATE),
        ("placed_to", "0001-01-01", YEAR),
        ("placed_from", "9999-12-31", YEAR),
        ("status", "lost-in-the-post", "Choose one of these."),
        ("q", "x" * 101, "at most 100 characters"),
        ("q", "a\x00b", "Null characters are not allowed."),
    ],
)
def test_a_wrong_filter_is_explained_beside_its_field_and_nothing_is_looked_for(browser, jug, field, value, said):
    with CaptureQueriesContext(connection) as queries:
        page = browser.get("/orders/", {"q": "milk", "placed_from": "2026-01-31"} | {field: value})
    assert page.status_code == 200
    assert f'id="id_{field}_error"' in page.text
    assert said in page.text
    assert ROW not in page.text
    assert field == "q" or 'value="milk"' in page.text
    assert field == "placed_from" or 'value="2026-01-31"' in page.text
    assert not any("orders_order" in query["sql"] for query in queries)


def test_a_last_day_before_the_first_is_explained_beside_it(browser, jug):
    page = browser.get("/orders/?placed_from=2026-03-02&placed_to=2026-03-01").text
    assert 'id="id_placed_to_error"' in page
    assert "This day is before the first one." in page
    assert 'value="2026-03-01"' in page
    assert ROW not in page


def test_a_card_number_is_sent_back_with_a_way_on_and_the_other_filters(browser, jug, canary):
    digits = canary("search")
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get("/orders/", {"q": digits, "status": "placed", "placed_from": "2026-01-01"}, follow=True)
    assert answer.redirect_chain == [("/orders/?status=placed&placed_from=2026-01-01", 302)]
    assert "Search by the last four digits." in answer.text
    assert 'value="2026-01-01"' in answer.text
    assert digits not in answer.text
    assert not any(digits in query["sql"] for query in queries)


def test_where_the_middleware_is_not_the_form_refuses_it_and_does_not_show_it_again(customer, canary):
    digits = canary("search")
    search = OrderSearch({"q": f"paid with {digits}", "status": "placed"})
    with CaptureQueriesContext(connection) as queries:
        assert not search.is_valid()
        assert (search.filters, search.query) == ({}, "")
    assert search.errors["q"] == ["A card number cannot be searched for. Search by its last four digits."]
    assert digits not in str(search)
    assert not queries


@pytest.mark.parametrize("side", ["before", "after"])
def test_what_is_no_order_is_no_border_and_is_not_looked_for(browser, settings, canary, side):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != MIDDLEWARE]
    digits = canary("border")
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get("/orders/", {side: digits})
    assert answer.status_code == 404
    assert not any(digits in query["sql"] or "orders_order" in query["sql"] for query in queries)


# --- The page -------------------------------------------------------------------------------------------------------


def test_the_pages_keep_every_filter(browser, customer, canary):
    orders = make_orders(30, customer, make_card(canary("list")))
    query = f"q=milk+jug&status=placed&placed_from=2026-01-01&placed_to={date(2099, 1, 1)}"
    first = browser.get(f"/orders/?{query}").text
    kept = query.replace("&", "&amp;")
    assert f'href="?before={orders[24].public_id}&amp;{kept}#found"' in first
    assert (
        f'href="?after={orders[25].public_id}&amp;{kept}#found"'
        in browser.get(f"/orders/?{query}&before={orders[24].public_id}").text
    )


def test_it_is_said_how_many_filters_are_on_and_how_many_orders_are_found(browser, jug, grinder):
    page = browser.get("/orders/?q=milk&status=placed&placed_to=").text
    assert "2 filters are on." in page
    assert "1 order found · My orders · Billing" in " ".join(page.split())
    assert "1 filter is on." in browser.get("/orders/?q=milk").text
    assert "filter" not in browser.get("/orders/?q=").text.split("<main")[1]


def test_a_single_page_has_no_navigation_that_leads_nowhere(browser, jug):
    assert 'aria-label="Pages"' not in browser.get("/orders/").text


def test_a_search_without_a_match_leads_back(browser, jug):
    page = browser.get("/orders/?q=teapot").text
    assert "No order matches what you searched for." in page
    assert "No orders found" in page.split("</title>")[0]
    assert 'value="teapot"' in page
    assert '<a href="/orders/">Show all my orders</a>' in page


def test_a_page_beyond_the_last_leads_back_to_the_first(browser, jug):
    page = browser.get(f"/orders/?before={jug.public_id}&q=milk").text
    assert "There are no more orders in this direction." in page
    assert 'href="?q=milk"' in page


def test_without_any_order_the_first_is_offered(browser):
    page = browser.get("/orders/").text
    assert "You have not ordered anything yet." in page
    assert 'href="/orders/new/"' in page


def test_a_search_costs_the_same_for_100_orders_as_for_10_and_asks_nothing_of_aws(
    wire, browser, customer, canary, django_assert_max_num_queries
):
    card, counts = make_card(canary("list")), []
    address = f"/orders/?q=milk+{card.last4}&status=placed&placed_from={timezone.localdate() - timedelta(days=9)}"
    browser.get(address)
    for count in (10, 90):
        make_orders(count, customer, card)
        wire.calls.clear()
        with django_assert_max_num_queries(10) as queries:
            assert ROW in browser.get(address).text
        counts.append(len(queries))
        assert not wire.calls
    assert counts[0] == counts[1]
