"""What of a record of a log, and of data, is left when it was redacted."""

import logging
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.cards import NUMBERS
from vault.redaction import RedactingFilter, redact, redact_data
from vault.tokens import Token

VISA = NUMBERS["visa"][0]


@pytest.fixture
def record():
    """A function that makes a log record and sends it through the filter."""

    def make(message, *args, **attributes):
        made = logging.makeLogRecord({"msg": message, "args": args, **attributes})
        assert RedactingFilter().filter(made) is True
        return made

    return make


def log_line(record):
    return logging.Formatter().format(record)


def test_message_and_arguments_are_redacted(record):
    made = record("card %s for %r of %d", VISA, {"number": VISA}, int(VISA))

    assert log_line(made).count("[card •••• 1111]") == 3
    assert VISA not in repr(vars(made))


def test_a_message_without_arguments_keeps_its_percent_sign(record):
    assert log_line(record("100% done")) == "100% done"


def test_the_traceback_is_redacted_and_the_exception_dropped(record):
    error = ValueError(VISA)

    made = record("failed", exc_info=(ValueError, error, None))

    assert "ValueError: [card •••• 1111]" in log_line(made)
    assert made.exc_info is None


def test_stack_and_extras_are_redacted(record):
    made = record("x", stack_info=f"at {VISA}", note=VISA, items=[{"n": (VISA, int(VISA), VISA.encode())}], cvv="123")

    assert VISA not in repr(vars(made))
    assert made.cvv == "[removed]"
    assert (made.note, made.stack_info) == ("[card •••• 1111]", "at [card •••• 1111]")


def test_the_name_of_an_extra_is_redacted(record):
    made = record("x", **{VISA: "note", "cvv": "123", "other": 1})

    assert VISA not in repr(vars(made))
    assert (vars(made)["[card •••• 1111]"], made.cvv, made.other) == ("note", "[removed]", 1)


class Unprintable:
    def __str__(self):
        raise RuntimeError(VISA)


@pytest.mark.parametrize(
    ("message", "args"),
    [("%d", ("no number",)), ("%s %s", ("one",)), ("%s", (Unprintable(),)), (Unprintable(), ())],
    ids=["wrong type", "too few", "argument raises", "message raises"],
)
def test_a_record_that_cannot_be_formatted_becomes_a_constant(record, message, args):
    made = record(message, *args, note=VISA)

    assert log_line(made) == "[a log record that could not be redacted]"
    assert not hasattr(made, "note")


@pytest.mark.parametrize(
    "number",
    [float(VISA), Decimal(VISA), Decimal(f"{VISA}.00"), Fraction(VISA)],
    ids=lambda number: type(number).__name__,
)
def test_numbers_that_are_no_integers_are_redacted(number):
    assert redact_data({"card": number}) == {"card": redact(str(number))}
    assert VISA not in str(redact_data([number]))


@pytest.mark.parametrize("number", [0.1 + 0.2, float("nan"), 1e300, Decimal("24.90"), 1780144245.4242424])
def test_other_numbers_stay_numbers(number):
    assert redact_data([number])[0] is number


def test_data_that_is_clean_stays_as_it_is():
    data = {"a": [1, 2.5, None, True, b"\xff", "text"], "b": ("x", {"c": Token.generate()})}

    assert redact_data(data) == data


def test_what_stands_under_a_forbidden_name_is_removed_whole():
    data = {"card": {"cvv": "123", "pinBlock": [1, 2], "last4": "1111"}}
    assert redact_data(data) == {"card": {"cvv": "[removed]", "pinBlock": "[removed]", "last4": "1111"}}


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"in": inner}], ids=["lists", "mappings"])
def test_data_is_read_twenty_levels_deep(wrap):
    def nested(levels):
        data = VISA
        for _ in range(levels):
            data = wrap(data)
        return repr(redact_data(data))

    assert "[card •••• 1111]" in nested(20)
    assert "[nested too deeply]" in nested(21)


def test_keys_are_as_deep_as_what_stands_under_them():
    data = {VISA: {(VISA, (VISA,)): 1}}
    for _ in range(17):
        data = [data]
    redacted = repr(redact_data(data))
    assert "('[card •••• 1111]', ('[nested too deeply]',))" in redacted
    assert "{'[card •••• 1111]': {" in redacted


@pytest.mark.parametrize("kind", [list, dict])
def test_data_without_end_is_cut(kind):
    endless = kind()
    if kind is list:
        endless.append(endless)
    else:
        endless["in"] = endless

    assert "nested too deeply" in repr(redact_data(endless))
