"""The fields of a card number and its expiry in a real Chromium: what is typed, shown and hinted at."""

import itertools
import random

import pytest
from playwright.sync_api import expect

from tests.cards import ALL_NUMBERS, NUMBERS, grouped
from tests.factories import last_month, next_year
from tests.test_card_form_browser import customer, page
from vault.pan import brand_and_lengths, has_luhn_checksum

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
__all__ = ["customer", "page"]
VISA, AMEX, LONG = NUMBERS["visa"][0], NUMBERS["amex"][0], NUMBERS["visa"][4]
SCRIPT = "import('/static/vault/card-typing.js')"


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
