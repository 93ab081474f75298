import pytest
from django.contrib.admin import site
from django.contrib.messages import get_messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.test import RequestFactory

from tests.cards import NUMBERS
from tests.factories import make_card, make_user
from vault.models import Card

pytestmark = pytest.mark.django_db
CARDS = "/admin/vault/card/"


@pytest.fixture
def clerk(client):
    client.force_login(make_user("clerk", "vault.view_card", is_staff=True))
    return client


@pytest.mark.parametrize("field", ["token", "last4"])
def test_a_card_is_found_by(clerk, canary, field):
    card, other = make_card(canary("admin")), make_card(NUMBERS["amex"][0])
    page = clerk.get(CARDS, {"q": getattr(card, field)}).text
    assert card.token in page
    assert other.token not in page


def test_a_part_of_a_token_finds_nothing(clerk, canary):
    card = make_card(canary("admin"))
    assert card.token not in clerk.get(CARDS, {"q": card.token[:20]}).text


def test_a_card_is_shown_masked_and_cannot_be_changed(clerk, canary):
    card = make_card(digits := canary("admin"))
    address = f"{CARDS}{card.token}/change/".replace("_", "_5F")
    page = clerk.get(address).text
    assert card.masked in page
    assert digits not in page
    assert '<input type="submit"' not in page
    assert clerk.post(address, {"last4": "0000"}).status_code == 403
    assert Card.objects.get().last4 == digits[-4:]


@pytest.mark.parametrize("act", ["add/", "{}/delete/"])
def test_nothing_is_added_or_deleted_even_by_a_superuser(admin_client, canary, act):
    card = make_card(canary("admin"))
    path = CARDS + act.format(card.token.replace("_", "_5F"))
    assert admin_client.get(path).status_code == admin_client.post(path, {"post": "yes"}).status_code == 403
    assert Card.objects.count() == 1


def test_a_list_costs_the_same_for_100_cards_as_for_10_and_asks_nothing_of_aws(
    clerk, canary, wire, django_assert_max_num_queries
):
    counts = []
    # The first page of a session notes whose it is.
    clerk.get(CARDS)
    for more in (10, 90):
        for _ in range(more):
            make_card(canary("list"))
        wire.calls.clear()
        with django_assert_max_num_queries(20) as queries:
            page = clerk.get(CARDS).text
        counts.append(len(queries))
        assert not wire.calls
    assert page.count('class="field-masked_number') == 100
    assert counts[0] == counts[1]


def test_the_list_takes_the_right_to(client, canary):
    card = make_card(canary("admin"))
    client.force_login(make_user("somebody", is_staff=True))
    answer = client.get(CARDS)
    assert answer.status_code == 403
    assert card.last4 not in answer.text


@pytest.mark.parametrize("query", ["q={}", "{}=1"])
def test_a_card_number_in_a_search_is_refused_without_the_middleware_too(rf: RequestFactory, canary, query):
    request = rf.get(f"{CARDS}?{query.format(canary('search'))}")
    request.user, request.session = make_user("root", is_staff=True, is_superuser=True), {}
    request._messages = FallbackStorage(request)
    answer = site.get_model_admin(Card).changelist_view(request)
    assert (answer.status_code, answer["Location"]) == (302, CARDS)
    assert [str(message) for message in get_messages(request)] == [
        "Card numbers cannot be searched for. Search by the last four digits."
    ]


@pytest.mark.parametrize("action", ["cancel_chosen", "export_chosen"])
@pytest.mark.parametrize("chosen", ["", "x", "\x00", "1,2", "9" * 30, "-1" * 99])
def test_what_no_row_can_be_called_is_not_looked_for(client, action, chosen):
    client.force_login(make_user("editor", "orders.view_order", "orders.change_order", is_staff=True))
    answer = client.post("/admin/orders/order/", {"action": action, "_selected_action": chosen, "index": "0"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/orders/order/")
    assert "No items have been changed." in client.get("/admin/orders/order/").text
