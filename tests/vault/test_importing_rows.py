"""What is a row, what is none, and what is refused with its whole file. No vault is asked."""

import csv
import io
import json
from datetime import date

import pytest

from tests.cards import NUMBERS, grouped, with_check_digit
from vault.importing.columns import Naming
from vault.importing.reading import MAX_LINE, CSVFile, JSONLinesFile, Lines
from vault.importing.refusals import FileRefused, Reason, Refusal
from vault.importing.rows import ImportRow, Reject

VISA, AMEX = NUMBERS["visa"][0], NUMBERS["amex"][0]
# A number with one digit mistyped.
TYPO = VISA[:-1] + "2"
# Luhn is right, and no brand has it.
NOBODYS = with_check_digit("9" * 15)


def csv_rows(text, **chosen):
    body = text if isinstance(text, bytes) else text.encode()
    return list(CSVFile(Lines(io.BytesIO(body)), Naming(chosen)).rows())


def json_rows(*objects, **chosen):
    lines = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in objects]
    return list(JSONLinesFile(Lines(io.BytesIO(b"\n".join(lines))), Naming(chosen)).rows())


def reasons(rows):
    return [row.reason for row in rows if isinstance(row, Reject)]


def line(*fields):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


# --- Columns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["number", "card_number", "pan", "Number", " PAN "])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_the_number_is_found_in_a_table(name, delimiter, start, end):
    text = end.join([delimiter.join([name, "color"]), delimiter.join([VISA, "red"])])
    (row,) = csv_rows(start + text.encode())
    assert isinstance(row, ImportRow)
    assert (row.row, row.pan.last4, row.expires, row.reference) == (2, VISA[-4:], None, "")


def test_columns_can_be_named():
    rows = csv_rows(f"Karte,bis,id\n{VISA},02/30,A-1\n", number="Karte", expires="bis", reference="id")
    assert [(row.reference, row.expires) for row in rows] == [("A-1", date(2030, 2, 28))]


def test_a_named_column_goes_before_the_usual_ones():
    assert reasons(csv_rows(f"card,pan\n{VISA},{AMEX}\n", number="card")) == [Reason.CARD_ELSEWHERE]


@pytest.mark.parametrize(
    ("header", "chosen", "refusal"),
    [
        ("", {}, Refusal.NO_HEADER),
        ("\n", {}, Refusal.COLUMNS),
        ('number,"x', {}, Refusal.NO_HEADER),
        (b"number,\xff", {}, Refusal.NO_HEADER),
        ("number".encode("utf-16"), {}, Refusal.NO_HEADER),
        ("x" * (MAX_LINE + 2), {}, Refusal.NO_HEADER),
        (f"{VISA},02/30", {}, Refusal.NUMBER_IN_HEADER),
        ("name,expires", {}, Refusal.COLUMNS),
        ("number,pan", {}, Refusal.COLUMNS),
        ("number,exp_month", {}, Refusal.COLUMNS),
        ("number,expires,exp_month,exp_year", {}, Refusal.COLUMNS),
        ("number,Number", {}, Refusal.SAME_COLUMN),
        ("number", {"reference": "order"}, Refusal.NO_SUCH_COLUMN),
        ("number,cvv", {}, Refusal.FORBIDDEN),
        ("number,Card-CVC2", {}, Refusal.FORBIDDEN),
        ("number,track2_data", {}, Refusal.FORBIDDEN),
        ("number,pin_block", {}, Refusal.FORBIDDEN),
        ("pan,security code", {}, Refusal.FORBIDDEN),
    ],
    ids=range(18),
)
def test_a_table_that_is_not_clear_is_refused_whole(header, chosen, refusal):
    if header == "\n":
        header = f"\nnobody\n{VISA}\n"
    with pytest.raises(FileRefused, match=f"^{refusal.value}$".replace(".", r"\.")):
        csv_rows(header, **chosen)


@pytest.mark.parametrize(
    "row",
    [{"number": VISA, "cvv": "1"}, {"number": VISA, "card": {"deep": [{"cvc2": None}]}}, {"pin": "1"}],
    ids=["flat", "nested", "alone"],
)
def test_a_forbidden_key_refuses_the_file_wherever_it_stands(row):
    with pytest.raises(FileRefused):
        json_rows({"number": AMEX}, row)
    body = b'{"broken\n' + json.dumps(row).encode()
    with pytest.raises(FileRefused):
        JSONLinesFile(Lines(io.BytesIO(body)), Naming()).refuse_forbidden_keys()


# --- Rows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        ("expires", ["02/30"]),
        ("expires", ["2/2030"]),
        ("expires", ["2030-02"]),
        ("exp_month,exp_year", ["2", "30"]),
        ("exp_month,exp_year", ["02", "2030"]),
    ],
    ids=["MM/YY", "M/YYYY", "YYYY-MM", "short", "long"],
)
def test_an_expiry_is_the_last_day_of_its_month(columns, fields):
    (row,) = csv_rows(f"number,{columns}\n{line(VISA, *fields)}")
    assert row.expires == date(2030, 2, 28)


def test_an_expiry_may_be_missing():
    assert [row.expires for row in csv_rows(f"number,exp_month,exp_year\n{VISA},,\n")] == [None]


def test_spaces_and_hyphens_make_no_other_card():
    rows = csv_rows(f"number\n{grouped(VISA, ' ')}\n{grouped(VISA, '-')}\n")
    assert rows[0].pan == rows[1].pan


@pytest.mark.parametrize(
    ("number", "rest", "reason", "reference"),
    [
        ("", "02/30,A", Reason.NUMBER_EMPTY, "A"),
        (TYPO, "02/30,A", Reason.NUMBER_CHECKSUM, "A"),
        (VISA[:-1], "02/30,A", Reason.NUMBER_LENGTH, "A"),
        ("0" * 16, "02/30,A", Reason.NUMBER_CHECKSUM, "A"),
        (VISA.translate({ord("1"): "１"}), "02/30,A", Reason.NUMBER_CHARACTERS, "A"),
        (f"\u200b{VISA}", "02/30,A", Reason.NUMBER_CHARACTERS, "A"),
        (f"={VISA}", "02/30,A", Reason.NUMBER_CHARACTERS, "A"),
        (VISA, "13/30,A", Reason.EXPIRY, "A"),
        (VISA, "2030,A", Reason.EXPIRY, "A"),
        (VISA, "02/30," + "x" * 201, Reason.REFERENCE, ""),
        (VISA, "02/30,\x1b[2J", Reason.REFERENCE, ""),
        (VISA, "02/30", Reason.COLUMNS, ""),
        (VISA, "02/30,A,B", Reason.COLUMNS, ""),
        (VISA, '02/30,"A', Reason.MALFORMED, ""),
        (VISA, '02/30,"A"B', Reason.MALFORMED, ""),
        (VISA, "02/30,\0", Reason.ENCODING, ""),
        (VISA, f"02/30,{AMEX}", Reason.CARD_ELSEWHERE, ""),
        (VISA, f"02/30,order {grouped(AMEX, ' ')}", Reason.CARD_ELSEWHERE, ""),
        (VISA, f"{AMEX},A", Reason.CARD_ELSEWHERE, ""),
        # What nobody would recognize as a card number is one, beside itself.
        (TYPO, f"02/30,{TYPO}", Reason.CARD_ELSEWHERE, ""),
        (NOBODYS, f"02/30,{NOBODYS}", Reason.CARD_ELSEWHERE, ""),
        (VISA, f"02/30,{VISA[:9]}", Reason.CARD_ELSEWHERE, ""),
    ],
    ids=range(22),
)
def test_a_bad_row_is_rejected_alone(number, rest, reason, reference):
    rows = csv_rows(f"number,expires,reference\n{number},{rest}\n{AMEX},02/30,next\n")
    assert rows[0] == Reject(2, reference, reason)
    assert (rows[1].row, rows[1].reference) == (3, "next")


@pytest.mark.parametrize("reference", ["2024-11-24-0001", "f81d4fae-7dec-41d0-a765-00a0c91e6bf6", "+49 170 1234567"])
def test_other_numbers_are_no_card(reference):
    assert [row.reference for row in csv_rows(f"number,reference\n{VISA},{reference}\n")] == [reference]


def test_a_line_that_is_too_long_or_no_text_spoils_no_other():
    body = b"number\n" + b"4" * 1_000_000 + b"\n\xff\xfe\n\n" + VISA.encode() + b"\n" + b"4" * (MAX_LINE + 5)
    rows = csv_rows(body)
    assert reasons(rows) == [Reason.TOO_LONG, Reason.ENCODING, Reason.TOO_LONG]
    assert [row.row for row in rows] == [2, 3, 5, 6]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f'{{"number": {VISA}}}', Reason.NUMBER_TYPE),
        (f'{{"number": {VISA}.0}}', Reason.NUMBER_TYPE),
        ('{"number": true}', Reason.NUMBER_TYPE),
        ('{"number": null}', Reason.NUMBER_EMPTY),
        (f'{{"number": ["{VISA}"]}}', Reason.NESTED),
        (f'{{"number": "{VISA}", "more": {{"a": 1}}}}', Reason.NESTED),
        (f'{{"number": "{VISA}", "number": "{VISA}"}}', Reason.DUPLICATE_KEY),
        (f'{{"number": "{VISA}", "pan": "{VISA}"}}', Reason.COLUMNS),
        ('{"name": "x"}', Reason.COLUMNS),
        ("{}", Reason.COLUMNS),
        (f'"{VISA}"', Reason.MALFORMED),
        (f'["{VISA}"]', Reason.MALFORMED),
        (VISA, Reason.MALFORMED),
        ("NaN", Reason.MALFORMED),
        (f'{{"number": "{VISA}", "x": NaN}}', Reason.MALFORMED),
        (f'{{"number": "{VISA}"}} x', Reason.MALFORMED),
        (f'{{"number": "{VISA}"', Reason.MALFORMED),
        ("[" * 50_000, Reason.MALFORMED),
        ('{"a":' * 10_000, Reason.MALFORMED),
        ('{"x": ' + "9" * 5000 + "}", Reason.MALFORMED),
        (f'{{"number": "{VISA}", "reference": "\\ud800"}}', Reason.REFERENCE),
        (f'{{"number": "{VISA}\\ud800"}}', Reason.NUMBER_CHARACTERS),
        (f'{{"number": "{VISA}", "reference": "a\\u0000"}}', Reason.REFERENCE),
        (f'{{"number": "{VISA}", "reference": 1.5}}', Reason.REFERENCE),
        (f'{{"number": "{VISA}", "reference": {AMEX}}}', Reason.CARD_ELSEWHERE),
        (f'{{"number": "{VISA}", "{AMEX}": 1}}', Reason.CARD_ELSEWHERE),
        (f'{{"number": "{VISA}", "expires": true}}', Reason.EXPIRY),
        (f'{{"number": "{VISA}", "exp_month": 2, "exp_year": null}}', Reason.EXPIRY),
    ],
    ids=range(28),
)
def test_a_bad_object_is_rejected_alone(row, reason):
    rows = json_rows(row.encode(), {"number": AMEX})
    assert rows[0] == Reject(1, "", reason)
    assert isinstance(rows[1], ImportRow)


def test_an_object_may_have_numbers_where_they_are_no_card():
    rows = json_rows({"pan": VISA, "exp_month": 2, "exp_year": 2030, "reference": 17, "old": None, "vip": True})
    assert [(row.expires, row.reference) for row in rows] == [(date(2030, 2, 28), "17")]


def test_the_first_object_may_follow_a_bom():
    assert json_rows(b"\xef\xbb\xbf" + json.dumps({"number": VISA}).encode())[0].pan.last4 == VISA[-4:]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_of_its_own(reason):
    assert reason.message.endswith(".")
    assert reason.message not in {other.message for other in Reason if other is not reason}
