"""Whose order it is: for each operation of the description that is about one (`object_level_authorization`).

Schemathesis compares accounts only where it signs them in by itself, and reads alone; this is about writes as well.
"""

import pytest

from orders.models import Order
from tests.contract.test_wrong_places import OPERATIONS
from tests.factories import client_of, make_card, make_order, make_user

pytestmark = pytest.mark.django_db

ABOUT_AN_ORDER = {name: each for name, each in OPERATIONS.items() if "{public_id}" in each[1]}


def state_of_orders():
    return list(Order.objects.order_by("pk").values())


@pytest.mark.parametrize("name", ABOUT_AN_ORDER)
def test_somebody_elses_order_is_not_there(canary, name):
    token = make_card(canary("order")).token
    order = make_order(make_user("owner"), token)
    other = make_user("other", "orders.add_order", "orders.change_order", "vault.tokenize_pan")
    method, path, _ = ABOUT_AN_ORDER[name]
    before = state_of_orders()
    body = {"token": str(token)} if name == "pay_order_again" else None
    answer = getattr(client_of(other), method)(path.format(public_id=order.public_id), body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert state_of_orders() == before
