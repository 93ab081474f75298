import copy
import json
import pickle
import traceback
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings as hypothesis_settings, strategies as st
from stdnum import luhn

from tests.cards import ALL_NUMBERS, NUMBERS, with_check_digit
from tests.drawn import digits, issued, typed
from vault.exceptions import InvalidPAN, PANProblem
from vault.pan import MOST_CHARACTERS, PAN, RANGES, Brand, brand_and_lengths, has_luhn_checksum, mask

VISA = NUMBERS["visa"][0]


@pytest.mark.parametrize(
    ("brand", "digits"), [(brand, digits) for brand, all_digits in NUMBERS.items() for digits in all_digits]
)
def test_published_numbers_have_their_brand(brand, digits):
    assert PAN(digits).brand == brand


@pytest.mark.parametrize("text", [f"{VISA[:4]} {VISA[4:8]} {VISA[8:12]} {VISA[12:]}", "-".join(VISA), f"  {VISA} - "])
def test_spaces_and_hyphens_anywhere_are_the_same_card(text):
    assert PAN(text) == PAN(VISA)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", PANProblem.EMPTY, id="empty"),
        pytest.param(" - ", PANProblem.EMPTY, id="separators-only"),
        pytest.param(VISA[:-1] + "x", PANProblem.CHARACTERS, id="letter"),
        pytest.param(VISA.translate({ord("0") + i: 0xFF10 + i for i in range(10)}), PANProblem.CHARACTERS, id="wide"),
        pytest.param(VISA.translate({ord("0") + i: 0x0660 + i for i in range(10)}), PANProblem.CHARACTERS, id="arabic"),
        pytest.param(VISA[:-1] + "¹", PANProblem.CHARACTERS, id="superscript"),
        pytest.param(VISA[:8] + "\u200b" + VISA[8:], PANProblem.CHARACTERS, id="zero-width"),
        pytest.param("\u202e" + VISA, PANProblem.CHARACTERS, id="direction-mark"),
        pytest.param(VISA[:8] + "\xa0" + VISA[8:], PANProblem.CHARACTERS, id="no-break-space"),
        pytest.param(VISA[:8] + "\n" + VISA[8:], PANProblem.CHARACTERS, id="line-break"),
        pytest.param("9" * 11, PANProblem.LENGTH, id="11-digits"),
        pytest.param("9" * 20, PANProblem.LENGTH, id="20-digits"),
        pytest.param(VISA[:14], PANProblem.LENGTH, id="wrong-for-brand"),
        pytest.param("1" * 100_000, PANProblem.LENGTH, id="very-long"),
        pytest.param("0" * 16, PANProblem.CHECKSUM, id="zeros"),
        pytest.param(VISA[:-1] + "2", PANProblem.CHECKSUM, id="luhn"),
        pytest.param(None, PANProblem.CHARACTERS, id="none"),
        pytest.param(int(VISA), PANProblem.CHARACTERS, id="number"),
        pytest.param([VISA], PANProblem.CHARACTERS, id="list"),
    ],
)
def test_what_is_no_card_number_is_refused_and_never_quoted(text, problem):
    with pytest.raises(InvalidPAN) as caught:
        PAN(text)
    assert caught.value.problem is problem
    assert str(caught.value) == problem.message
    assert pickle.loads(pickle.dumps(caught.value)).problem is problem  # noqa: S301 - our own bytes


@given(st.text(alphabet="0123456789", min_size=1, max_size=30))
@hypothesis_settings(database=None)
def test_luhn_agrees_with_an_independent_implementation(digits):
    assert has_luhn_checksum(digits) == luhn.is_valid(digits)


@given(st.data())
def test_every_spelling_is_the_same_card(data):
    brand, number = data.draw(issued())
    text = data.draw(typed(number).filter(lambda text: len(text) <= MOST_CHARACTERS))
    pan = PAN(text)
    assert (pan.expose(), pan.brand) == (number, brand)
    assert (pan, hash(pan)) == (PAN(number), hash(PAN(number)))


@given(digits(), st.data())
def test_one_wrong_digit_is_refused(number, data):
    place = data.draw(st.integers(0, len(number) - 1))
    wrong = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != number[place]))
    mistyped = number[:place] + wrong + number[place + 1 :]
    assert not has_luhn_checksum(mistyped)
    with pytest.raises(InvalidPAN):
        PAN(mistyped)


@given(digits(), st.data())
def test_two_digits_that_changed_places_are_refused(number, data):
    place = data.draw(st.integers(0, len(number) - 2))
    pair = number[place : place + 2]
    # Luhn does not tell 09 from 90.
    assume(pair[0] != pair[1] and pair not in {"09", "90"})
    with pytest.raises(InvalidPAN):
        PAN(number[:place] + pair[::-1] + number[place + 2 :])


@given(st.text("0123456789", min_size=1, max_size=25).map(with_check_digit))
def test_a_number_is_accepted_if_its_length_is_one_of_its_brand(number):
    lengths = brand_and_lengths(number)[1]
    try:
        accepted = PAN(number).expose() == number
    except InvalidPAN:
        accepted = False
    assert accepted == (luhn.is_valid(number) and len(number) in lengths and bool(number.strip("0")))


SOME, UP, ALL = {14, 16, 17, 18, 19}, {16, 17, 18, 19}, {12, 13, 14, 15, 16, 17, 18, 19}


@pytest.mark.parametrize(
    ("start", "lengths"),
    [
        ("4", {13, 16, 19}), ("51", {16}), ("2221", {16}), ("34", {15}), ("37", {15}),
        ("300", SOME), ("3095", SOME), ("38", SOME), ("36", {14, *SOME, 15}),
        ("3528", UP), ("6011", UP), ("644", UP), ("65", UP), ("62", UP), ("8100", UP),
        ("5018", ALL), ("5020", ALL), ("5038", ALL), ("5893", ALL), ("6304", ALL), ("6759", ALL), ("6761", ALL), ("9", ALL),
    ],
)  # fmt: skip
def test_a_scheme_issues_numbers_of_these_lengths(start, lengths):
    numbers = [with_check_digit(start.ljust(length - 1, "0")) for length in range(10, 22)]
    assert {len(number) for number in numbers if is_accepted(number)} == lengths


def is_accepted(number):
    try:
        return PAN(number).expose() == number
    except InvalidPAN:
        return False


def test_ranges_do_not_overlap_and_have_lengths_of_card_numbers():
    """Else the first of two would win, and the order of a table would be a rule."""
    spans = sorted((first.ljust(19, "0"), last.ljust(19, "9")) for first, last, _, _ in RANGES)
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert all(lengths and lengths <= set(range(12, 20)) for *_, lengths in RANGES)


@given(digits())
def test_no_way_to_show_a_card_number_has_more_than_last_four(number):
    pan = PAN(number)
    shown = [
        str(pan),
        repr(pan),
        f"{pan!a}",
        f"{pan:*>30}",
        f"{[pan]}",
        f"{ ({'n': pan}) }",
        json.dumps([pan], default=str),
    ]
    for text in shown:
        plain = text.replace("\\u2022", "•")
        assert f"•••• {number[-4:]}" in plain
        assert "".join(filter(str.isdigit, plain)) == number[-4:]


@given(digits())
def test_bin_and_last_four_never_make_the_number(number):
    pan = PAN(number)
    assert (pan.bin, pan.last4) == (number[: len(pan.bin)], number[-4:])
    assert len(number) - len(pan.bin) - len(pan.last4) >= 2
    assert len(pan.bin) == (8 if len(number) >= 16 else 6)


WAYS_OUT = {
    **{f"pickle {protocol}": lambda pan, protocol=protocol: pickle.dumps(pan, protocol) for protocol in range(6)},
    "reduce": lambda pan: pan.__reduce__(),
    "state": lambda pan: pan.__getstate__(),
    "JSON": json.dumps,
    "vars": vars,
    "integer": int,
    "change": lambda pan: setattr(pan, "brand", Brand.AMEX),
}


@pytest.mark.parametrize("way", WAYS_OUT.values(), ids=WAYS_OUT)
def test_every_way_out_is_shut_and_says_nothing(way, card):
    digits = card("visa")
    pan = PAN(digits)
    with pytest.raises((TypeError, AttributeError)) as caught:
        way(pan)
    assert digits[:9] not in "".join(traceback.format_exception(caught.value))
    assert pan.expose() == digits


@given(st.text())
@hypothesis_settings(database=None)
def test_any_text_is_a_card_number_or_refused(text):
    try:
        pan = PAN(text)
    except InvalidPAN:
        return
    assert pan.expose().isascii()


@pytest.mark.parametrize(
    ("start", "brand"),
    [
        ("2220", Brand.UNKNOWN), ("2221", Brand.MASTERCARD), ("2720", Brand.MASTERCARD), ("2721", Brand.UNKNOWN),
        ("50", Brand.UNKNOWN), ("51", Brand.MASTERCARD), ("55", Brand.MASTERCARD), ("56", Brand.UNKNOWN),
        ("3527", Brand.UNKNOWN), ("3528", Brand.JCB), ("3589", Brand.JCB), ("3590", Brand.UNKNOWN),
        ("643", Brand.UNKNOWN), ("644", Brand.DISCOVER), ("649", Brand.DISCOVER), ("65", Brand.DISCOVER),
        ("33", Brand.UNKNOWN), ("34", Brand.AMEX), ("35", Brand.UNKNOWN), ("37", Brand.AMEX),
        ("306", Brand.UNKNOWN), ("305", Brand.DINERS), ("3095", Brand.DINERS), ("36", Brand.DINERS),
        ("61", Brand.UNKNOWN), ("62", Brand.UNIONPAY), ("63", Brand.UNKNOWN), ("6304", Brand.MAESTRO),
        ("6759", Brand.MAESTRO), ("6760", Brand.UNKNOWN), ("6763", Brand.MAESTRO), ("6764", Brand.UNKNOWN),
        ("8099", Brand.UNKNOWN), ("8100", Brand.UNIONPAY), ("8171", Brand.UNIONPAY), ("8172", Brand.UNKNOWN),
    ],
)  # fmt: skip
def test_a_range_begins_and_ends_where_the_scheme_says(start, brand):
    assert brand_and_lengths(start.ljust(16, "0"))[0] is brand


@pytest.mark.parametrize("start", ["", "3", "22", "222", "27", "64", "810"])
def test_a_beginning_shorter_than_its_range_is_of_no_brand_yet(start):
    assert brand_and_lengths(start)[0] is Brand.UNKNOWN


@pytest.mark.parametrize("show", [str, repr, lambda pan: f"{pan:>4}", lambda pan: json.dumps(pan, default=str)])
def test_it_shows_last_four_alone(show):
    shown = show(PAN(VISA))
    assert VISA[-4:] in shown
    assert VISA[:12] not in shown
    assert VISA[-5:] not in shown


def test_it_cannot_be_pickled_changed_or_taken_apart():
    pan = PAN(VISA)
    for way in (pickle.dumps, PAN.__getstate__):
        with pytest.raises(TypeError, match=r"^A PAN cannot be pickled\.$"):
            way(pan)
    with pytest.raises(AttributeError):
        pan.brand = Brand.AMEX
    assert copy.deepcopy([pan])[0] is pan
    assert copy.copy(pan) is pan
    assert not hasattr(pan, "__dict__")


@pytest.mark.parametrize(("digits", "length"), [(VISA, 8), (NUMBERS["amex"][0], 6), (NUMBERS["diners"][0], 6)])
def test_bin_and_last4_leave_the_middle_unknown(digits, length):
    pan = PAN(digits)
    assert (pan.bin, pan.last4) == (digits[:length], digits[-4:])


def test_equal_numbers_are_equal_and_nothing_else_is():
    pan = PAN(VISA)
    assert len({pan, PAN(VISA), PAN(NUMBERS["amex"][0])}) == 2
    assert pan != VISA
    assert pan.masked == mask("1111")
    assert pan.expose() == VISA


@pytest.mark.parametrize(("first", "last", "brand"), [each[:3] for each in RANGES])
def test_a_beginning_as_long_as_its_range_is_of_the_brand(first, last, brand):
    assert {brand_and_lengths(first)[0], brand_and_lengths(last)[0]} == {brand}


def test_a_text_is_as_long_as_a_typed_number_can_be_and_no_longer():
    gap = MOST_CHARACTERS - len(VISA)
    assert PAN(VISA[:8] + " " * gap + VISA[8:]).expose() == VISA
    assert problem_of(VISA[:8] + " " * (gap + 1) + VISA[8:]) is PANProblem.LENGTH
    # What is wrong is said of what was read; the rest was not.
    assert problem_of(VISA + " " * gap + "x") is PANProblem.CHARACTERS
    assert problem_of(VISA + " " * gap + " x") is PANProblem.LENGTH


def problem_of(text):
    with pytest.raises(InvalidPAN) as caught:
        PAN(text)
    return caught.value.problem


def test_it_is_formatted_as_text_and_hashed_as_a_number():
    pan = PAN(VISA)
    assert f"{pan:*>12}" == f"***{mask('1111')}"
    assert len({hash(PAN(digits)) for digits in ALL_NUMBERS}) == len(ALL_NUMBERS)


def test_every_brand_has_a_label():
    assert all(brand.label for brand in Brand)
