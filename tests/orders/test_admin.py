import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from orders.models import Order, SavedCard
from tests.factories import make_card, make_order, make_orders, make_saved_card, make_user
from vault.admin import longlists

pytestmark = pytest.mark.django_db
ORDERS, SAVED = "/admin/orders/order/", "/admin/orders/savedcard/"
LISTS = [ORDERS, SAVED]


@pytest.fixture
def order(canary):
    ada = make_user()
    return make_order(ada, make_saved_card(ada, canary("order")).card)


@pytest.fixture
def clerk(client):
    """May look, and nothing else."""
    client.force_login(make_user("clerk", "orders.view_order", "orders.view_savedcard", is_staff=True))
    return client


@pytest.fixture
def editor(client):
    client.force_login(make_user("editor", "orders.view_order", "orders.change_order", is_staff=True))
    return client


@pytest.mark.parametrize("field", ["public_id", "name", "customer", "username", "last4"])
def test_an_order_is_found_by(clerk, order, canary, field):
    make_order(make_user("bob"), make_card(canary("other")), name="Grinder")
    words = {
        "public_id": order.public_id,
        "name": "milk",
        "customer": "ada@example.com",
        "username": "ada",
        "last4": order.card.last4,
    }
    page = clerk.get(ORDERS, {"q": words[field]}).text
    assert order.public_id in page
    assert "Grinder" not in page


@pytest.mark.parametrize(
    ("query", "is_found"),
    [("milk ADA", True), ("milk bob", False), ('"milk jug"', True), ('"jug milk"', False), ("jug milk", True)],
)
def test_each_word_of_a_search_is_somewhere_in_an_order(clerk, order, canary, query, is_found):
    make_order(make_user("bob"), make_card(canary("other")), name="Grinder")
    assert (order.public_id in clerk.get(ORDERS, {"q": query}).text) is is_found


@pytest.mark.parametrize("by", ["number", "address"])
def test_a_number_or_an_address_in_full_is_found_by_index_however_old_the_order_is(
    clerk, order, canary, monkeypatch, by
):
    for name in ("COUNTED", "STRETCH"):
        monkeypatch.setattr(longlists, name, 3)
    make_orders(9, make_user("bob"), make_card(canary("other")))
    Order.objects.filter(pk=order.pk).update(placed_at="2020-05-05 12:00Z")
    page = clerk.get(ORDERS, {"q": {"number": f" {order.public_id.upper()} ", "address": "Ada@example.com"}[by]}).text
    assert order.public_id in page
    assert "1 result " in page
    # It is not there for a part of either: that is looked for in a stretch of the newest.
    assert order.public_id not in clerk.get(ORDERS, {"q": "Ada@example"}).text


def test_an_address_of_two_customers_finds_the_orders_of_both(clerk, order):
    twin = make_order(make_user("twin"), order.card)
    User.objects.filter(username="twin").update(email="ADA@example.com")
    page = clerk.get(ORDERS, {"q": "ada@example.com"}).text
    assert order.public_id in page
    assert twin.public_id in page


def test_saved_cards_are_found_by_customer_and_last_four(clerk, order):
    saved = SavedCard.objects.get()
    for query, is_found in (("ada", True), (f"ada {saved.card.last4}", True), ("bob", False)):
        assert (saved.token.text in clerk.get(SAVED, {"q": query}).text) is is_found


@pytest.mark.parametrize(
    "query", ["status__exact=placed", "card_brand__exact=visa", "currency__exact=EUR", "placed_at__year=2000"]
)
def test_orders_are_filtered(clerk, order, query):
    page = clerk.get(f"{ORDERS}?{query}")
    assert page.status_code == 200
    assert (order.public_id in page.text) is ("2000" not in query)


def test_cards_are_shown_masked(clerk, order):
    for address in (ORDERS, f"{ORDERS}{order.pk}/change/", SAVED, f"{SAVED}{SavedCard.objects.get().pk}/change/"):
        assert f"Visa •••• {order.card.last4}" in clerk.get(address).text


@pytest.mark.parametrize("address", LISTS)
def test_a_list_costs_the_same_for_100_rows_as_for_10_and_asks_nothing_of_aws(
    clerk, canary, wire, django_assert_max_num_queries, address
):
    card, counts = make_card(canary("list")), []
    # The first page of a session notes whose it is.
    clerk.get(address)
    for more in (10, 90):
        for number in range(more):
            customer = make_user(f"{more}-{number}")
            make_orders(1, customer, card)
            SavedCard.objects.create(customer=customer, card=card)
        wire.calls.clear()
        with django_assert_max_num_queries(20) as queries:
            page = clerk.get(address).text
        counts.append(len(queries))
        assert not wire.calls
    assert page.count('<td class="action-checkbox">') == (100 if address == ORDERS else 0)
    assert page.count(f"Visa •••• {card.last4}</") == 100
    assert counts[0] == counts[1]


def test_the_name_and_the_default_of_a_saved_card_are_shown_and_escaped(clerk, order):
    SavedCard.objects.update(nickname="<b>Team</b>", default_of=order.customer)
    for address in (SAVED, f"{SAVED}{SavedCard.objects.get().pk}/change/"):
        page = clerk.get(address).text
        assert "&lt;b&gt;Team&lt;/b&gt;" in page
        assert "icon-yes" in page


def test_who_may_look_changes_nothing(clerk, order):
    address = f"{ORDERS}{order.pk}/change/"
    assert 'name="name"' not in clerk.get(address).text
    assert clerk.post(address, {"name": "Changed"}).status_code == 403
    order.refresh_from_db()
    assert order.name == "Milk jug"


def test_the_texts_of_an_order_can_be_mended_and_nothing_else(editor, order):
    before = Order.objects.values().get()
    changes = {"name": "Milk jug, blue", "description": "", "amount": "1.00", "money": "1.00", "status": "cancelled"}
    editor.post(f"{ORDERS}{order.pk}/change/", changes | {"card": "", "card_last4": "9999", "customer": "99"})
    assert Order.objects.values().get() == before | {"name": "Milk jug, blue", "description": ""}


def test_a_card_number_in_a_text_is_refused_and_not_shown_or_kept_in_the_history(editor, order, canary):
    digits = canary("admin")
    page = editor.post(f"{ORDERS}{order.pk}/change/", {"name": digits, "description": f"for {digits}"})
    assert "Card numbers belong in the card field only." in page.text
    assert digits not in page.text
    order.refresh_from_db()
    assert order.name == "Milk jug"
    assert not LogEntry.objects.exists()


def test_the_history_names_the_order_and_the_field(editor, order):
    editor.post(f"{ORDERS}{order.pk}/change/", {"name": "Mended", "description": ""})
    entry = LogEntry.objects.get()
    assert entry.object_repr == order.public_id
    assert "Name" in entry.change_message


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("act", ["add/", "1/delete/"])
def test_nothing_is_added_or_deleted_even_by_a_superuser(admin_client, order, address, act):
    path = address + act.replace("1", str((Order if address == ORDERS else SavedCard).objects.get().pk))
    assert admin_client.get(path).status_code == admin_client.post(path, {"post": "yes"}).status_code == 403
    answer = admin_client.post(address, {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"})
    assert "delete" not in answer.text.lower().replace("deletion", "")
    assert Order.objects.count() == SavedCard.objects.count() == 1


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("staff", [False, True], ids=["customer", "staff without the right"])
def test_the_lists_take_the_right_to(client, order, address, staff):
    client.force_login(make_user("somebody", is_staff=staff))
    answer = client.get(address)
    assert answer.status_code in {302, 403}
    assert order.public_id not in answer.text
    assert order.card.last4 not in answer.text


@pytest.mark.parametrize("query", ["q={}", "q=x+{}+y", "status__exact={}", "{}=1", "_changelist_filters=q%3D{}"])
@pytest.mark.parametrize("address", LISTS)
def test_a_card_number_in_a_search_reaches_neither_the_database_nor_the_page(
    admin_client, canary, django_assert_max_num_queries, address, query
):
    digits = canary("search")
    with django_assert_max_num_queries(10) as queries:
        answer = admin_client.get(f"{address}?{query.format(digits)}")
    assert (answer.status_code, answer["Location"]) == (302, address)
    assert "Search by the last four digits." in admin_client.get(address).text
    assert not any(digits in each["sql"] for each in queries.captured_queries)
