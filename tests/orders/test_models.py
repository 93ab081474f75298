import re
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.utils import translation

from orders.currencies import Currency
from orders.models import PUBLIC_ID_PATTERN, Order, new_public_id
from tests.factories import CONTENT, last_month, make_card, make_order, make_saved_card, make_user, next_year
from vault.redaction import contains_pan

pytestmark = pytest.mark.django_db


def test_public_ids_are_random_and_fit_their_address():
    ids = {new_public_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(PUBLIC_ID_PATTERN, each) and not contains_pan(each) for each in ids)


def test_no_column_of_an_order_or_a_saved_card_holds_the_number(canary):
    digits, customer = canary("models"), make_user()
    saved = make_saved_card(customer, digits, next_year())
    make_order(customer, saved.card)
    with connection.cursor() as cursor:
        for table in ("orders_order", "orders_savedcard"):
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608 - a constant
            (row,) = cursor.fetchall()
            assert digits not in repr(row)
            assert {digits[-4:], "visa", saved.token.text} <= set(row)


@pytest.mark.parametrize("amount", ["0", "-1"])
def test_the_database_refuses_an_amount_that_is_not_positive(canary, amount):
    with pytest.raises(IntegrityError):
        make_order(make_user(), make_card(canary("models")), amount=Decimal(amount))


@pytest.mark.parametrize(
    ("currency", "amount", "is_payable"),
    [
        ("EUR", "10.05", True),
        ("JPY", "10", True),
        ("JPY", "10.00", True),
        ("JPY", "10.50", False),
        ("EUR", "NaN", False),
    ],
)
def test_an_amount_has_the_decimal_places_of_its_currency(currency, amount, is_payable):
    assert Currency(currency).is_payable(Decimal(amount)) is is_payable
    order = Order(**CONTENT | {"currency": currency, "amount": Decimal(amount)})
    if is_payable:
        order.clean()
    else:
        with pytest.raises(ValidationError):
            order.clean()


@pytest.mark.parametrize(
    ("language", "currency", "amount", "label", "text"),
    [
        ("en", "EUR", "1849", "€1,849.00", "1849.00"),
        ("de", "EUR", "1849", "1.849,00\xa0€", "1849.00"),
        ("en", "JPY", "1200.00", "¥1,200", "1200"),
        ("de", "JPY", "1200.00", "1.200\xa0¥", "1200"),
        ("en", "CHF", "3.5", "CHF\xa03.50", "3.50"),
        (None, "USD", "74.4", "$74.40", "74.40"),
    ],
)
def test_money_is_written_for_people_and_for_machines(language, currency, amount, label, text):
    order = Order(amount=Decimal(amount), currency=currency)
    with translation.override(language):
        assert (order.money, order.amount_text) == (label, text)


@pytest.mark.parametrize("field", ["name", "description"])
def test_a_card_number_in_a_text_is_refused_without_quoting_it(canary, field):
    digits = canary(field)
    order = Order(customer=make_user(), card=make_card(canary("models")), **CONTENT | {field: f"pay {digits} now"})
    with pytest.raises(ValidationError) as caught:
        order.full_clean()
    assert list(caught.value.message_dict) == [field]
    assert digits not in str(caught.value)


@pytest.mark.parametrize(("expires", "expected"), [(None, False), (next_year(), False), (last_month(), True)])
def test_a_saved_card_is_good_until_its_last_day(canary, expires, expected):
    assert make_saved_card(make_user(), canary("models"), expires).is_expired is expected
