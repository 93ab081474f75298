import uuid
from decimal import Decimal

import pytest
from django.http import QueryDict
from django.utils import translation

from orders.forms import NicknameForm, OrderForm, PayAgainForm
from orders.models import SavedCard
from tests.cards import NUMBERS
from tests.factories import last_month, make_saved_card, make_user, next_year

pytestmark = pytest.mark.django_db
MISTYPED = NUMBERS["visa"][0][:-1] + "2"
FULL_WIDTH = NUMBERS["visa"][0].translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})


@pytest.fixture
def customer():
    return make_user()


def filled(**changes):
    """What the browser sends for an order in order, but for `changes`."""
    fields = {
        "name": "Milk jug",
        "description": "",
        "amount": "24.90",
        "currency": "EUR",
        "payment": "new",
        "number": NUMBERS["visa"][0],
        "expires": f"{next_year():%m/%y}",
        "save_card": "on",
        "submission": str(uuid.uuid4()),
    }
    data = QueryDict(mutable=True)
    data.update({key: value for key, value in (fields | changes).items() if value is not None})
    return data


def test_a_filled_form_says_what_to_place(customer, canary):
    digits = canary("form")
    form = OrderForm(customer, filled(number=digits))
    assert form.is_valid()
    order = form.order()
    assert order["card"].expose() == digits
    assert (order["expires"], order["save_card"]) == (next_year(), True)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        pytest.param("number", "", "Enter a card number.", id="empty"),
        pytest.param("number", None, "Enter a card number.", id="missing"),
        pytest.param("number", MISTYPED, "This is not a valid card number. Check for a mistyped digit.", id="Luhn"),
        pytest.param("number", MISTYPED[:-1], "This card number has the wrong number of digits.", id="length"),
        pytest.param("number", "4111 abcd", "A card number has digits only; spaces and hyphens may separate them.",
                     id="letters"),
        pytest.param("number", FULL_WIDTH, "A card number has digits only; spaces and hyphens may separate them.",
                     id="full width"),
        pytest.param("expires", "", "Enter the expiry date on the card.", id="no expiry"),
        pytest.param("expires", "13/30", "Enter the expiry date as month and year, like 08/29.", id="month 13"),
        pytest.param("expires", "01/20", "This card has expired.", id="expired"),
        pytest.param("name", " ", "Say what you order, in a few words.", id="no name"),
        pytest.param("amount", "", "Enter the amount that you pay.", id="no amount"),
        pytest.param("amount", "ten", "Enter the amount in digits, such as 24.90.", id="no number"),
        pytest.param("amount", "0", "An amount is greater than zero.", id="nothing"),
        pytest.param("amount", "-5", "An amount is greater than zero.", id="less than nothing"),
        pytest.param("amount", "0.001", "An amount has two decimal places at most.", id="three places"),
        pytest.param("currency", "XXX", "Choose one of these currencies.", id="currency"),
        pytest.param("payment", "tok", "Choose one of your cards.", id="payment"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_and_its_content_is_not_quoted(customer, field, value, message):
    form = OrderForm(customer, filled(**{field: value}))
    assert form.errors == {field: [message]}


@pytest.mark.parametrize(("language", "typed"), [("en", "24.90"), ("de", "24,90"), ("de", "24,9"), ("de", "24.90")])
def test_an_amount_is_read_as_its_language_writes_it(customer, language, typed):
    with translation.override(language):
        form = OrderForm(customer, filled(amount=typed))
        assert form.is_valid()
        assert form.order()["amount"] == Decimal("24.90")
        assert 'type="text"' in str(form["amount"])


@pytest.mark.parametrize(
    ("language", "typed"), [("en", "24,90"), ("en", "1,849.00"), ("de", "1.849,00"), ("de", "1.849"), ("de", "1,849")]
)
def test_an_amount_that_could_mean_two_is_refused(customer, language, typed):
    with translation.override(language):
        form = OrderForm(customer, filled(amount=typed))
        assert form.errors.keys() == {"amount"}
        assert f'value="{typed}"' in str(form["amount"])


@pytest.mark.parametrize(
    "field", ["name", "description", "amount", "currency", "payment", "number", "expires", "submission"]
)
def test_a_card_number_is_never_shown_again_whatever_field_it_was_typed_into(customer, canary, field):
    digits = canary(field)
    form = OrderForm(customer, filled(**{"number": MISTYPED, field: digits}))
    assert field in form.errors or field == "number"
    assert digits not in str(form)
    assert digits not in str(form.errors)


def test_what_was_typed_comes_back_but_for_the_card(customer):
    page = str(OrderForm(customer, filled(number=MISTYPED)))
    assert 'value="Milk jug"' in page
    assert 'value="24.90"' in page
    assert MISTYPED not in page
    assert f"{next_year():%m/%y}" not in page


def test_the_card_fields_ask_the_browser_for_a_card(customer):
    page = str(OrderForm(customer))
    assert 'autocomplete="cc-number"' in page
    assert 'autocomplete="cc-exp"' in page
    assert "cvv" not in page.lower()
    assert "csc" not in page.lower()


def test_good_saved_cards_are_offered_and_expired_and_foreign_ones_are_not(customer, canary):
    good = make_saved_card(customer, canary("good"), next_year())
    make_saved_card(customer, canary("expired"), last_month())
    make_saved_card(make_user("bob"), canary("foreign"), next_year())
    assert [value for value, _ in OrderForm(customer)["payment"].field.choices] == [good.token.text, "new"]
    assert [value for value, _ in PayAgainForm(customer)["payment"].field.choices] == [good.token.text]


def test_the_default_is_offered_first_and_chosen(customer, canary):
    default, newest = make_saved_card(customer, canary("default")), make_saved_card(customer, canary("newest"))
    SavedCard.objects.filter(pk=default.pk).update(default_of=customer)
    for form in (OrderForm(customer), PayAgainForm(customer)):
        assert [value for value, _ in form["payment"].field.choices][:2] == [default.token.text, newest.token.text]
        assert form["payment"].value() == default.token.text


def test_a_default_that_is_over_is_not_chosen(customer, canary):
    default = make_saved_card(customer, canary("default"), last_month())
    SavedCard.objects.filter(pk=default.pk).update(default_of=customer)
    good = make_saved_card(customer, canary("good"))
    assert OrderForm(customer)["payment"].value() == good.token.text


def test_the_choice_of_a_card_stays_when_something_else_is_wrong(customer, canary):
    make_saved_card(customer, canary("first"))
    second = make_saved_card(customer, canary("second"))
    form = OrderForm(customer, filled(payment=second.token.text, amount="", save_card=None))
    assert form.errors.keys() == {"amount"}
    assert form["payment"].value() == second.token.text
    assert not form["save_card"].value()


@pytest.mark.parametrize("typed", [NUMBERS["visa"][0], MISTYPED, MISTYPED[:10]])
def test_digits_that_were_refused_as_a_name_are_not_shown_again(typed):
    form = NicknameForm({"nickname": f"my {typed}"})
    assert form.errors.keys() == {"nickname"}
    assert typed not in str(form)


def test_what_stands_in_the_fields_of_a_card_not_chosen_does_not_matter(customer, canary):
    saved = make_saved_card(customer, canary("saved"))
    form = OrderForm(customer, filled(payment=saved.token.text, number=MISTYPED, expires="?"))
    assert form.is_valid()
    assert form.order()["card"] == saved


def test_each_form_has_its_own_submission(customer):
    first, second = OrderForm(customer), OrderForm(customer)
    assert first["submission"].value() != second["submission"].value()
