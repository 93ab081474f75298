"""The fields of a new card in a real Chromium: what is typed, shown, hinted at, and kept by nothing."""

import itertools
import random
import re

import pytest
from playwright.sync_api import expect

from orders.models import Order, SavedCard
from tests.browsers import DESKTOP, PHONE, check_page, shoot
from tests.cards import ALL_NUMBERS, NUMBERS, grouped
from tests.factories import last_month, make_orders, make_saved_card, make_user, next_year
from tests.leaks import Sink
from vault.pan import brand_and_lengths, has_luhn_checksum

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
NEW = "/orders/new/"
VISA, AMEX, LONG = NUMBERS["visa"][0], NUMBERS["amex"][0], NUMBERS["visa"][4]
SCRIPT = "import('/static/vault/card-typing.js')"


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def page(visit, customer, complaints):
    """A new order, its card fields in view; the console must have said nothing by the end."""
    page = visit(customer)
    page.goto(NEW)
    yield page
    assert complaints == []


@pytest.fixture
def number(page):
    return page.get_by_label("Card number")


@pytest.fixture
def expiry(page):
    return page.get_by_label("Expiry date")


def hint_of(page, name):
    return page.locator(f"#id_{name}_hint")


def caret_of(field):
    return field.evaluate("field => field.selectionStart")


def put_caret(field, position):
    field.evaluate("(field, position) => field.setSelectionRange(position, position)", position)


def paste(field, text):
    """As a browser pastes: in place of the selection, in one piece."""
    field.focus()
    field.page.keyboard.insert_text(text)


def left_behind(page):
    """Everything in which a browser keeps something of a page, but for the page itself."""
    return page.evaluate(
        """() => JSON.stringify([location.href, document.title, history.state, {...localStorage}, {...sessionStorage},
        document.cookie])"""
    )


# --- The number -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digits", "shown"),
    [
        (VISA, grouped(VISA, " ")),
        (AMEX, f"{AMEX[:4]} {AMEX[4:10]} {AMEX[10:]}"),
        (LONG, grouped(LONG, " ")),
        (NUMBERS["diners"][0], grouped(NUMBERS["diners"][0], " ")),
    ],
    ids=["16 digits", "American Express", "19 digits", "14 digits"],
)
def test_digits_are_grouped_as_they_are_typed_or_pasted(number, digits, shown):
    number.press_sequentially(digits)
    assert number.input_value() == shown
    assert caret_of(number) == len(shown)
    for text in (digits, grouped(digits, "-"), grouped(digits, "\u00a0"), f" {grouped(digits, ' ', 2)} "):
        number.fill("")
        paste(number, text)
        assert number.input_value() == shown


def test_the_caret_stays_where_somebody_mends_the_number(number):
    number.press_sequentially(VISA[:12])
    put_caret(number, 7)
    number.press("2")
    assert (number.input_value(), caret_of(number)) == (grouped(VISA[:6] + "2" + VISA[6:12], " "), 8)
    number.press("Backspace")
    assert (number.input_value(), caret_of(number)) == (grouped(VISA[:12], " "), 7)


def test_a_deleted_separator_takes_its_digit_along(number):
    number.press_sequentially("4123456")
    put_caret(number, 5)
    number.press("Backspace")
    assert (number.input_value(), caret_of(number)) == ("4124 56", 3)
    put_caret(number, 4)
    number.press("Delete")
    assert (number.input_value(), caret_of(number)) == ("4124 6", 4)
    for _ in range(4):
        number.press("Backspace")
    assert number.input_value() == "6"


def test_nothing_typed_is_refused(number, page):
    paste(number, "4111x")
    assert number.input_value() == "4111x"
    number.press("Backspace")
    assert number.input_value() == "4111"
    number.blur()
    expect(hint_of(page, "number")).to_have_text("This card number has the wrong number of digits.")


def test_digits_of_an_input_method_are_taken_when_it_is_done(number):
    full_width = VISA.translate({ord("0") + digit: ord("０") + digit for digit in range(10)})
    number.evaluate(
        """(field, text) => {
        field.focus();
        field.value = text;
        field.dispatchEvent(new InputEvent("input", {isComposing: true, inputType: "insertCompositionText"}));
        }""",
        full_width,
    )
    assert number.input_value() == full_width
    number.dispatch_event("compositionend")
    assert number.input_value() == grouped(VISA, " ")


@pytest.mark.parametrize(("brand", "name"), [("visa", "Visa"), ("amex", "American Express"), ("jcb", "JCB")])
def test_the_brand_is_shown_and_said(page, number, brand, name):
    number.press_sequentially(NUMBERS[brand][0][:4])
    shown = page.locator(".card-brand")
    expect(shown).to_have_text(name)
    expect(shown).to_have_attribute("aria-live", "polite")
    assert f"brands/{brand}" in shown.evaluate("mark => getComputedStyle(mark, '::before').backgroundImage")
    number.fill("")
    expect(shown).to_have_text("")


def test_what_is_said_does_not_repeat_itself_with_each_digit(page, number):
    number.press_sequentially(VISA[:4])
    page.evaluate(
        """() => {
        window.said = 0;
        for (const live of document.querySelectorAll("form [aria-live]")) {
            new MutationObserver(() => { window.said += 1; }).observe(live, {childList: true, characterData: true});
        }
        }"""
    )
    number.press_sequentially(VISA[4:])
    assert page.evaluate("window.said") == 0


def test_a_mistyped_digit_is_pointed_out_when_the_field_is_left(page, number):
    number.press_sequentially(VISA[:-1] + "2")
    expect(hint_of(page, "number")).to_have_text("")
    number.blur()
    expect(hint_of(page, "number")).to_have_text("This is not a valid card number. Check for a mistyped digit.")
    assert "id_number_hint" in number.get_attribute("aria-describedby")
    number.press("End")
    number.press("Backspace")
    expect(hint_of(page, "number")).to_have_text("")
    number.press(VISA[-1])
    number.blur()
    expect(hint_of(page, "number")).to_have_text("")


def test_a_hint_does_not_move_the_button_from_under_the_pointer(page, number):
    number.fill(VISA[:-1])
    page.get_by_role("button", name="Place order").click(delay=400)
    expect(page.get_by_role("alert")).to_be_visible()


def test_the_script_knows_the_brands_of_the_vault(page):
    """Every beginning of four digits, every known number, and some at random: as many digits as there may be."""
    chance = random.Random(4)  # noqa: S311 - examples, not secrets
    texts = ["".join(digits) for size in (0, 1, 2, 3, 4) for digits in itertools.product("0123456789", repeat=size)]
    texts += ["".join(chance.choices("0123456789", k=size)) for size in range(5, 20) for _ in range(200)]
    texts += ALL_NUMBERS
    found = page.evaluate(
        f"""async (texts) => {{
        const {{brandAndLengths, hasLuhnChecksum}} = await {SCRIPT};
        const table = JSON.parse(document.querySelector("[data-brands]").dataset.brands);
        return texts.map((text) => [...brandAndLengths(text, table), hasLuhnChecksum(text)]);
        }}""",
        texts,
    )
    for text, (brand, lengths, is_luhn) in zip(texts, found, strict=True):
        expected, issued = brand_and_lengths(text)
        assert (brand, lengths, is_luhn) == (expected.value, sorted(issued), has_luhn_checksum(text))


# --- The expiry date ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("0829", "08 / 29"), ("829", "08 / 29"), ("1/30", "01 / 30"), ("12-2031", "12 / 2031"), ("12/30", "12 / 30")],
)
def test_the_expiry_date_is_written_as_on_the_card(expiry, typed, shown):
    expiry.press_sequentially(typed)
    assert expiry.input_value() == shown


def test_a_pasted_expiry_date_is_written_as_on_the_card(expiry):
    for pasted in ("2031-08", "08/31", "8 / 31"):
        expiry.fill("")
        paste(expiry, pasted)
        assert expiry.input_value() == "08 / 31"


def test_an_expiry_date_is_deleted_key_by_key(expiry):
    expiry.press_sequentially("0829")
    shown = [expiry.press("Backspace") or expiry.input_value() for _ in range(4)]
    assert shown == ["08 / 2", "08", "0", ""]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("13", "There is no such month. Enter it as 01 to 12."),
        ("00", "There is no such month. Enter it as 01 to 12."),
        ("0121", "This card has expired."),
        ("20", ""),
        ("0820", ""),
    ],
)
def test_an_impossible_or_past_month_is_said_early(page, expiry, typed, said):
    expiry.press_sequentially(typed)
    expect(hint_of(page, "expires")).to_have_text(said)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("0820", "This card has expired."),
        ("08", "Enter the expiry date as month and year, like 08/29."),
        (f"{next_year():%m%y}", ""),
        (f"{last_month():%m%Y}", "This card has expired."),
    ],
)
def test_a_wrong_expiry_date_is_said_when_the_field_is_left(page, expiry, typed, said):
    expiry.press_sequentially(typed)
    expiry.blur()
    expect(hint_of(page, "expires")).to_have_text(said)


# --- The form -------------------------------------------------------------------------------------------------------


def fill(page, digits, **changes):
    page.get_by_label("What do you order?").fill(changes.get("name", "Milk jug"))
    page.get_by_label("Amount").fill(changes.get("amount", "24.90"))
    page.get_by_label("Card number").fill(digits)
    page.get_by_label("Expiry date").fill(f"{next_year():%m/%y}")


def test_two_clicks_are_one_order_and_it_says_that_the_card_is_saved(page, canary):
    digits = canary("order")
    fill(page, digits)
    page.get_by_role("button", name="Place order").dblclick()
    expect(page.get_by_text("Your order is placed.")).to_be_visible()
    expect(page.get_by_text(f"Visa •••• {digits[-4:]} is saved for your next order.")).to_be_visible()
    assert Order.objects.count() == 1
    assert SavedCard.objects.get().is_default


def test_nothing_of_the_card_is_kept_by_the_browser(page, canary, leaks):
    fill(page, canary("order"))
    page.get_by_role("button", name="Place order").click()
    page.get_by_text("Your order is placed.").wait_for()
    leaks.record(Sink.BROWSER, [page.content(), left_behind(page)], "page of the order")
    page.go_back()
    assert page.get_by_label("Card number").input_value() == ""
    assert page.get_by_label("Expiry date").input_value() == ""
    expect(page.locator(".card-brand")).to_have_text("")
    leaks.record(Sink.BROWSER, [page.content(), left_behind(page)], "page after Back")


def test_a_refused_form_leads_to_what_is_wrong_and_keeps_the_rest(page, canary, leaks):
    fill(page, canary("order"), amount="")
    page.get_by_label("Currency").select_option("CHF")
    page.get_by_label("Keep this card").uncheck()
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_role("alert").get_by_role("link", name="Amount")).to_have_attribute("href", "#id_amount")
    expect(page.get_by_label("Amount")).to_be_focused()
    assert page.title().startswith("Error: ")
    assert page.get_by_label("What do you order?").input_value() == "Milk jug"
    assert page.get_by_label("Currency").input_value() == "CHF"
    assert not page.get_by_label("Keep this card").is_checked()
    assert page.get_by_label("Card number").input_value() == page.get_by_label("Expiry date").input_value() == ""
    assert page.get_by_text("Please type them again.").is_visible()
    leaks.record(Sink.BROWSER, [page.content(), left_behind(page)], "refused form")
    assert not Order.objects.exists()


def test_without_javascript_an_order_is_placed_and_a_refusal_leads_to_the_field(visit, customer, canary):
    page = visit(customer, java_script_enabled=False)
    page.goto(NEW)
    fill(page, canary("refused")[:-1])
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("alert").get_by_role("link", name="Card number").click()
    assert page.url.endswith("#id_number")
    assert page.locator(".field.wrong").get_by_text("This card number has the wrong number of digits.").is_visible()
    fill(page, canary("order"))
    page.get_by_role("button", name="Place order").click()
    expect(page.get_by_text("Your order is placed.")).to_be_visible()
    assert Order.objects.count() == 1


# --- Every page of cards --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_every_page_of_cards_is_in_order(visit, customer, complaints, canary, width):
    saved = make_saved_card(customer, canary("saved"), next_year())
    SavedCard.objects.filter(pk=saved.pk).update(nickname="Team card", default_of=customer)
    make_saved_card(customer, canary("over"), last_month())
    order = make_orders(30, customer, saved.card)[0]
    # Without motion: in the middle of a change from light to dark, colors are neither.
    page = visit(customer, width=width, reduced_motion="reduce")
    address = f"/cards/{saved.token}/"
    pages = {
        "cards": "/cards/",
        "card": address,
        "card-remove": f"{address}remove/",
        "new-order": NEW,
        "pay-again": f"/orders/{order.public_id}/pay-again/",
    }
    # First without axe-core, which puts style sheets into a page that its policy refuses, and the console says so.
    for path in pages.values():
        page.goto(path)
    assert complaints == []
    for name, path in pages.items():
        page.goto(path)
        shoot(page, f"{name}-{width}")
        check_page(page)
    page.goto(NEW)
    page.get_by_label("A new card").check()
    page.get_by_label("Card number").fill(AMEX[:-1])
    page.get_by_label("Expiry date").fill("13")
    page.get_by_label("Amount").focus()
    shoot(page, f"new-order-hints-{width}")
    check_page(page)
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("alert").wait_for()
    shoot(page, f"new-order-refused-{width}")
    check_page(page)


def test_a_card_is_named_chosen_and_removed(visit, customer, complaints, canary):
    first, second = (make_saved_card(customer, canary(name), next_year()) for name in ("first", "second"))
    SavedCard.objects.filter(pk=first.pk).update(default_of=customer)
    page = visit(customer)
    page.goto("/cards/")
    expect(page.locator(".wallet li").first).to_contain_text(first.card.last4)
    page.get_by_role("link", name=str(second), exact=True).click()
    page.get_by_role("textbox", name="Name").fill("Travel")
    page.get_by_role("button", name="Save the name").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Travel")
    page.get_by_role("button", name="Make it the default").click()
    expect(page.get_by_text("This card is offered first from now on.")).to_be_visible()
    page.goto(NEW)
    expect(page.get_by_role("radio", name=re.compile("Travel"))).to_be_checked()
    page.goto("/cards/")
    page.get_by_role("link", name=f"Remove {second}").click()
    page.get_by_role("button", name="Remove card").click()
    expect(page.get_by_text("The card is removed.")).to_be_visible()
    assert SavedCard.objects.get().is_default
    assert complaints == []
