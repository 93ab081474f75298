"""The start page of the admin as a whole."""

import re
from itertools import pairwise

import pytest
from django.contrib.auth.models import Group, User
from django.db import connections
from django.test.utils import CaptureQueriesContext

from tests.factories import make_card, make_orders, make_user
from tests.vault.admin.visitors import signed_in

pytestmark = pytest.mark.django_db
CONSOLE = "/admin/"


@pytest.fixture
def everything():
    """Somebody who sees all there is."""
    user = make_user("eve", "orders.view_order", "orders.view_delivery", is_staff=True)
    user.groups.set(Group.objects.all())
    return signed_in(user)


def queries(client):
    captured = {alias: CaptureQueriesContext(connections[alias]) for alias in connections}
    for context in captured.values():
        context.__enter__()
    page = client.get(CONSOLE)
    for context in captured.values():
        context.__exit__(None, None, None)
    assert page.status_code == 200
    return sum(len(context) for context in captured.values())


def test_it_asks_neither_kms_nor_dynamodb(wire, card, everything):
    make_orders(3, make_user(), make_card(card("visa")).token)
    calls = wire.calls.copy()
    assert everything.get(CONSOLE).status_code == 200
    assert wire.calls == calls


def test_it_asks_as_often_for_many_as_for_few(card, everything):
    customer, token = make_user(), make_card(card("visa")).token
    make_orders(2, customer, token)
    everything.get(CONSOLE)
    few = queries(everything)
    make_orders(60, customer, token)
    for brand in ("amex", "mastercard", "discover", "jcb"):
        make_card(card(brand))
    for number in range(5):
        make_user(f"reader{number}", "vault.detokenize_pan")
    assert queries(everything) == few


def test_it_has_one_heading_of_the_first_level_and_panels_below_it(everything):
    page = everything.get(CONSOLE).text
    assert re.findall(r"<h1>([^<]+)</h1>", page) == ["Console"]
    assert "<title>Console | Billing</title>" in page
    headings = re.findall(r"<h([1-6])", page.partition("<main")[2])
    assert all(int(next_) - int(before) <= 1 for before, next_ in pairwise(headings))


def test_every_drawing_has_a_name_or_is_hidden_and_nothing_is_inline(card, everything):
    make_orders(3, make_user(), make_card(card("visa")).token)
    page = everything.get(CONSOLE).text
    for drawing in re.findall(r"<svg[^>]*class=\"console-[^>]*>", page):
        assert 'aria-hidden="true"' in drawing or 'aria-labelledby="console-' in drawing
    assert " style=" not in page
    assert "<style" not in page


def test_every_heading_that_names_something_is_there_once(everything):
    page = everything.get(CONSOLE).text
    for name in re.findall(r'aria-labelledby="([^"]+)"', page):
        assert page.count(f'id="{name}"') == 1


def test_staff_without_any_right_see_no_console():
    page = signed_in(make_user("sam", is_staff=True)).get(CONSOLE)
    assert page.status_code == 200
    assert 'class="console"' not in page.text


def test_the_page_of_an_app_is_as_it_was(everything):
    page = everything.get("/admin/vault/")
    assert page.status_code == 200
    assert 'class="console"' not in page.text


def test_a_superuser_sees_orders_as_in_their_list_and_nothing_of_the_vault():
    User.objects.create_superuser("root", "root@example.com", "correct horse battery")
    page = signed_in(User.objects.get(username="root")).get(CONSOLE).text
    assert "Orders today" in page
    assert not re.search("Cards on file|Audit log last|Age of the keys|Open incidents|Reveals waiting", page)
