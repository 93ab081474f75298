import time
import uuid
from urllib.parse import quote

import pytest
from hypothesis import assume, given, strategies as st
from stdnum import ean, iban

from tests.cards import ALL_NUMBERS, NUMBERS, grouped, with_check_digit
from tests.drawn import digits, issued, surrounded, written
from tests.leaks.needles import BIN_LENGTH
from tests.leaks.readings import texts
from vault.redaction import contains_pan, find_pans, redact, redact_data
from vault.tokens import Token

VISA = NUMBERS["visa"][0]
AMEX = NUMBERS["amex"][0]
FULL_WIDTH = str.maketrans("0123456789", "".join(map(chr, range(0xFF10, 0xFF1A))))
ARABIC_INDIC = str.maketrans("0123456789", "".join(map(chr, range(0x660, 0x66A))))
MATHEMATICAL = str.maketrans("0123456789", "".join(map(chr, range(0x1D7CE, 0x1D7D8))))
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

WRITTEN = {
    "plain": VISA,
    "in a sentence": f"please charge {VISA}, thanks",
    "spaces": grouped(VISA, " "),
    "amex groups": f"{AMEX[:4]} {AMEX[4:10]} {AMEX[10:]}",
    "odd groups": grouped(VISA, " ", size=3),
    "every digit": " ".join(VISA),
    "dashes": grouped(VISA, "-"),
    "spaced dashes": grouped(VISA, " - "),
    "en dashes": grouped(VISA, "–"),
    "mixed": f"{VISA[:4]} {VISA[4:8]}-{VISA[8:]}",
    "dots": grouped(VISA, "."),
    "amex groups in dots": f"{AMEX[:4]}.{AMEX[4:10]}.{AMEX[10:]}",
    "slashes": grouped(VISA, "/"),
    "pipes": grouped(VISA, "|"),
    "colons": grouped(VISA, ":"),
    "semicolons": grouped(VISA, ";"),
    "asterisks": grouped(VISA, "*"),
    "tildes": grouped(VISA, "~"),
    "underscores": grouped(VISA, "_"),
    "commas": grouped(VISA, ","),
    "lines": grouped(VISA, "\r\n"),
    "tabs": grouped(VISA, "\t"),
    "no-break spaces": grouped(VISA, "\u00a0"),
    "thin spaces": grouped(VISA, "\u2009"),
    "zero width": "\u200b".join(VISA),
    "direction marks": f"\u202e{VISA[:8]}\u200f{VISA[8:]}\u202c",
    "controls": "\x00".join(VISA),
    **{f"control {ord(mark)}": grouped(VISA, mark) for mark in "\x01\x08\x0b\x0c\x0e\x1f\x7f"},
    **{f"escaped {mark}": grouped(VISA, f"\\{mark}") for mark in "nrt"},
    "percent dashes twice": grouped(VISA, "%252d"),
    "percent dashes twice in capitals": grouped(VISA, "%252D"),
    "controls beyond ASCII": grouped(VISA, "\x85"),
    "line separators": grouped(VISA, "\u2028"),
    "paragraph separators": grouped(VISA, "\u2029"),
    "private use": grouped(VISA, "\ue000"),
    "unassigned": grouped(VISA, "\uffff"),
    "lone surrogates": grouped(VISA, "\udca0"),
    "what a wrong decoding leaves": grouped(VISA, "\ufffd"),
    "middle dots": grouped(VISA, "·"),
    "bullets": grouped(VISA, "•"),
    "full width": VISA.translate(FULL_WIDTH),
    "Arabic-Indic": grouped(VISA, " ").translate(ARABIC_INDIC),
    "superscript": VISA.translate(SUPERSCRIPT),
    "combining accents": grouped(VISA, "\u0301"),
    "enclosing circles": grouped(VISA, "\u20dd"),
    "spaces of Ogham": grouped(VISA, "\u1680"),
    "what stands for an object": grouped(VISA, "\ufffc"),
    "minus signs": grouped(VISA, "\u2212"),
    "hyphen bullets": grouped(VISA, "\u2043"),
    **{f"dots {ord(dot):x}": grouped(VISA, dot) for dot in "\u2027\u2219\u22c5\u30fb\uff65"},
    "full-width slashes": grouped(VISA, "／"),
    "dots between all": ".".join(VISA),
    "JSON digits": "".join(f"\\u{ord(digit):04x}" for digit in VISA),
    "digits of a repr": "".join(f"\\x{ord(digit):02x}" for digit in VISA),
    "full-width digits in a repr of bytes": repr(VISA.translate(FULL_WIDTH).encode()),
    "Arabic digits in a repr of bytes": repr(VISA.translate(ARABIC_INDIC).encode()),
    "superscript digits in escapes": ascii(VISA.translate(SUPERSCRIPT)),
    "long escapes": "".join(f"\\U{ord(digit):08x}" for digit in VISA),
    "mathematical digits": VISA.translate(MATHEMATICAL),
    "mathematical digits in escapes": "".join(f"\\U{ord(digit):08x}" for digit in VISA.translate(MATHEMATICAL)),
    "percent spaces of Latin-1": grouped(VISA, "%a0"),
    "percent": "".join(f"%{ord(digit):02x}" for digit in VISA),
    "percent twice": "".join(f"%25{ord(digit):02x}" for digit in VISA),
    "percent three times": "".join(f"%2525{ord(digit):02x}" for digit in VISA),
    "percent spaces": quote(grouped(VISA, " ")),
    "percent no-break spaces": quote(grouped(VISA, "\u00a0")),
    "percent full width": quote(VISA.translate(FULL_WIDTH)),
    "after a plus sign": f"+{VISA}",
    "after a year and a point": f"2026.{VISA}",
    "after a percent sign": f"100%{VISA}",
    "plus": grouped(VISA, "+"),
    "repr": repr(grouped(VISA, "\u200b")),
    "JSON": grouped(VISA, "\\u00a0"),
    "HTML": grouped(VISA, "&nbsp;"),
    "HTML digits": "".join(f"&#{ord(digit)};" for digit in VISA),
    "in a URL": f"https://example.com/cards/{VISA}/edit?next=/",
    "in a file name": f"scan_{VISA}.pdf",
    "in a word": f"card{VISA}",
    "before a word": f"{VISA}abc",
    "with expiry": f"{grouped(VISA, ' ')} 12/27",
    "with expiry and code": f"{grouped(VISA, ' ')} 12 27 123",
    "after a number": f"4 x {VISA}",
    "track": f";{VISA}=27121010000000000?",
    "among lines": f"a\n{VISA}\nb",
    "after a date": f"2026-05-30 {grouped(VISA, ' ')}",
    "amount": f"{VISA}.00",
    "in the shape of an IBAN": f"AB12 {grouped(VISA, ' ')}",
}


def number_where(holds, candidates):
    """The first of `candidates` for which the check `holds`."""
    return next(digits for digits in candidates if holds(digits))


def is_card_like(digits):
    return with_check_digit(digits[:-1]) == digits and digits[:2] in ("51", "52", "53", "54", "55")


BBANS = (str(number) for number in range(50_400_000_000_000, 50_400_000_010_000))
IBANS = (f"DK{iban.calc_check_digits(f'DK00{bban}')}{bban}" for bban in BBANS)
CARD_LIKE_IBAN = number_where(lambda text: is_card_like(text[2:]), IBANS)
EANS = (f"40063813{number:04}" for number in range(10_000))
CARD_LIKE_EAN = number_where(
    lambda digits: with_check_digit(digits[:-1]) == digits,
    (f"{digits}{ean.calc_check_digit(digits)}" for digits in EANS),
)
# Its third group of four begins as that of a random UUID does.
VISA_4 = with_check_digit(f"{VISA[:12]}411")
GERMAN_PHONE = with_check_digit("491511234567")

INNOCENT = {
    "UUID": "4111a111-5555-4444-8111-111111111111",
    "UUID that begins with a card": f"{VISA_4[:8]}-{VISA_4[8:12]}-{VISA_4[12:]}-aAfF-afAF09afAF09",
    "UUID that ends with a card": f"afAF0909-aAfF-4fAa-{VISA[:4]}-{VISA[4:]}",
    "UUID of digits": f"{VISA_4[:8]}-{VISA_4[8:12]}-{VISA_4[12:]}-8111-{VISA[:12]}",
    "token": f"tok1_{VISA_4[:8]}-{VISA_4[8:12]}-{VISA_4[12:]}-8111-{VISA[:12]}",
    "phone": f"+{GERMAN_PHONE}",
    "phone with spaces": f"+{GERMAN_PHONE[:2]} {GERMAN_PHONE[2:5]} {GERMAN_PHONE[5:]}",
    "phone of 15 digits": f"+{AMEX}",
    "two phones": "+1 512 555 0100, +1 512 555 0199",
    "IBAN": CARD_LIKE_IBAN,
    "IBAN in groups": grouped(CARD_LIKE_IBAN, " "),
    "German IBAN": "DE89 3704 0044 0532 0130 00",
    "ISO timestamp": "2026-05-30T12:30:45.123456+00:00",
    "compact timestamp": "20260530123045",
    "dates": "30.05.2026 - 04.06.2026",
    "American dates": "5/30/2026 - 6/14/2026",
    "epoch": "1780144245",
    "epoch millis": with_check_digit("178014424512"),
    "epoch micros": with_check_digit("178014424512345"),
    "epoch nanos": with_check_digit("178014424512345678"),
    "epoch with fraction": "1780144245.4242424",
    "UPS": f"1Z{VISA}",
    "UPS in groups": f"1Z {grouped(VISA, ' ')}",
    "USPS": "9405511206213334445555",
    "USPS in groups": grouped("9405" + NUMBERS["mastercard"][0] + "55", " "),
    "FedEx 12": "961234567890",
    "FedEx 15": with_check_digit("96120012345678"),
    "order number": "ORD-2026-000123",
    "invoice": "INV/2026/05/4111",
    "ISBN-13": "978-3-16-148410-0",
    "EAN-13": "4006381333931",
    "EAN-13 that satisfies Luhn": CARD_LIKE_EAN,
    "latitude": f"37.{VISA}",
    "float": "0.30000000000000004",
    "decimal": f"4.{VISA[1:]}",
    "prices": "5.10 12.50 100.00 3.99 7.25 51.00",
    "amount": "4,111,111,111,111",
    "amount in threes": grouped(NUMBERS["amex"][1], ",", size=3),
    "decimal of two halves": f"{VISA[:8]}.{VISA[8:]}",
    "decimal of two halves and a number": f"{VISA[:8]}.{VISA[8:]} 7",
    "digits in twos": grouped(VISA, ".", size=2),
    "digits in twos after four": f"{VISA[:4]}.{grouped(VISA[4:], '.', size=2)}",
    "digits in fours and then in twos": f"{grouped(VISA[:12], '.')}.{grouped(VISA[12:], '.', size=2)}",
    "measures beside a parcel": f"{grouped(VISA, 'x')} 961234567890",
    "escape beyond Unicode": "\\U00110000 and \\Uffffffff",
    "escapes": "50%25 off&nbsp;for caf\\u00e9 %C3%A9",
    "MD5": "4111111111111111abcdef0123456789",
    "SHA-1": f"abcd{VISA}{'0' * 20}",
    "SHA-256": f"{VISA}{'a' * 32}{VISA}",
    "IMEI": with_check_digit("35693803564380"),
    "ICCID": with_check_digit("893104100000000000"),
    "20 digits": f"{VISA}1234",
    "1,000 digits": "4" * 1000,
    "zeros": "0" * 16,
    "IPv4": "52.142.124.215:8080",
    "MAC": "41:11:11:11:11:11",
    "version": "4.1.11.1111.1",
    "wrong check digit": VISA[:-1] + "2",
    "wrong length": with_check_digit(VISA[:-2]),
    "no brand": with_check_digit("911111111111111"),
    "empty": "",
}

# What cannot be told from a card number, and is therefore refused.
REFUSED = {
    "order number in the range of a brand": f"ORD-{VISA}",
    "phone without its plus": GERMAN_PHONE,
    "part of a longer number in groups": f"{grouped(VISA, '-')}-0001",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_card_number_is_found_however_it_is_written(text):
    assert contains_pan(text)


@pytest.mark.parametrize("digits", ALL_NUMBERS)
def test_every_brand_is_found(digits):
    assert contains_pan(f"pay with {digits}")
    assert redact(digits) == f"[card •••• {digits[-4:]}]"


@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT)
def test_no_false_alarm(text):
    assert not contains_pan(text)
    assert not contains_pan(f"ship to: {text} (urgent)")


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_told_from_a_card_is_refused(text):
    assert contains_pan(text)


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_find_pans_says_where_what_and_no_more(text):
    found = find_pans(f"before {text} after")
    digits = AMEX if AMEX[:4] in text else VISA
    assert [(each.brand, each.last4) for each in found] == [("amex" if digits == AMEX else "visa", digits[-4:])]
    assert contains_pan(f"before {text} after"[found[0].start : found[0].end])


NOBODYS = with_check_digit("911111111111111")
ON_TRACK = {
    "track 1": f"%B{NOBODYS}^DOE/JANE^2712",
    "track 1 in small letters": f"%b{NOBODYS}^doe/jane^2712",
    "track 1 behind others": f"read: %B{NOBODYS}^DOE/JANE^2712",
    "track 2": f";{NOBODYS}=2712",
    "track 2 behind others": f"read: ;{NOBODYS}=2712",
}
NEARLY = {
    "no beginning of track 1": f"{NOBODYS}^DOE",
    "no end of track 1": f"%B{NOBODYS}",
    "no beginning of track 2": f"{NOBODYS}=2712",
    "no end of track 2": f";{NOBODYS}",
    "from track 1 to track 2": f"%B{NOBODYS}=2712",
    "from track 2 to track 1": f";{NOBODYS}^DOE",
    "another format": f"%C{NOBODYS}^DOE",
}


@pytest.mark.parametrize("text", ON_TRACK.values(), ids=ON_TRACK)
def test_on_a_magnetic_stripe_a_number_of_any_brand_is_a_card(text):
    assert contains_pan(text)
    assert [(each.brand, each.last4) for each in find_pans(text)] == [("unknown", NOBODYS[-4:])]


@pytest.mark.parametrize("text", NEARLY.values(), ids=NEARLY)
def test_elsewhere_a_number_of_no_brand_is_none(text):
    assert not contains_pan(text)


ESCAPED = {
    "percent": lambda digits: "".join(f"%{ord(digit):02x}" for digit in digits),
    "JSON": lambda digits: "".join(f"\\u{ord(digit):04x}" for digit in digits),
}


@pytest.mark.parametrize("write", [str, *ESCAPED.values()], ids=["plain", *ESCAPED])
@pytest.mark.parametrize("before", ["", "x ", "caf%C3%A9: ", "㎏ "], ids=["at once", "text", "escapes", "long signs"])
@pytest.mark.parametrize("after", ["", " y", "&nbsp;y"], ids=["at the end", "text", "escapes"])
def test_it_is_the_number_that_is_found_and_masked_and_nothing_beside_it(write, before, after):
    first, second = write(VISA), write(AMEX)
    text = f"{before}{first} and {second}{after}"
    assert [text[each.start : each.end] for each in find_pans(text)] == [first, second]
    assert redact(text) == f"{before}[card •••• {VISA[-4:]}] and [card •••• {AMEX[-4:]}]{after}"


def test_escapes_of_two_kinds_that_touch_are_two_numbers():
    text = ESCAPED["percent"](f"{VISA} ") + ESCAPED["JSON"](AMEX)
    assert [each.last4 for each in find_pans(text)] == [VISA[-4:], AMEX[-4:]]
    assert redact(text) == f"[card •••• {VISA[-4:]}][card •••• {AMEX[-4:]}]"


def test_of_numbers_that_begin_alike_the_longest_is_found():
    longer = with_check_digit(f"{VISA}00")
    text = f"{longer[:16]} {longer[16:]}"
    (found,) = find_pans(text)
    assert (found.start, found.end, found.last4) == (0, len(text), longer[-4:])


def test_find_pans_finds_each_of_many_in_order():
    found = find_pans(" and ".join(ALL_NUMBERS))
    assert [each.last4 for each in found] == [digits[-4:] for digits in ALL_NUMBERS if contains_pan(digits)]
    assert [each.start for each in found] == sorted(each.start for each in found)


@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT)
def test_find_pans_finds_what_contains_pan_does(text):
    assert not find_pans(f"ship to: {text} (urgent)")


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_redact_masks_what_is_found(text):
    redacted = redact(text)

    assert not contains_pan(redacted)
    assert VISA[:9] not in redacted
    assert "[card •••• " in redacted


def test_redact_leaves_the_rest_of_the_text():
    assert redact(f"order 7: {grouped(VISA, ' ')}, thanks") == f"order 7: [card •••• {VISA[-4:]}], thanks"


def test_a_date_is_no_part_of_an_iban_that_would_hide_the_card_behind_it():
    # Of a hundred check digits one fits, whatever stands for the date.
    texts = [f"AB{check:02} 1/2/2026 {grouped(VISA, ' ')}" for check in range(100)]
    assert all(map(contains_pan, texts))


DIGEST = f"{VISA}abcdef0123456789"


@pytest.mark.parametrize("beside", "09AZaz")
def test_what_is_no_longer_as_long_as_a_digest_hides_nothing(beside):
    assert redact(DIGEST) == DIGEST
    assert VISA not in redact(f"{DIGEST}{beside}")
    assert VISA not in redact(f"{beside}{DIGEST}")


DATED = with_check_digit("411120260530121")
BEGINS_AS_DATE = with_check_digit("202605301234567")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{DATED[:4]}-2026-05-30-{DATED[12:]}", id="in groups"),
        pytest.param(f"{DATED[:4]}2026-05-30-{DATED[12:]}", id="behind digits"),
        pytest.param(f"{DATED[:4]}-2026-05-30{DATED[12:]}", id="before digits"),
        pytest.param(f"2026-05-30-{BEGINS_AS_DATE[8:]}", id="at the beginning"),
        pytest.param(f"2026-05-30{BEGINS_AS_DATE[8:]}", id="at the beginning, before digits"),
    ],
)
def test_a_date_within_a_number_hides_nothing(text):
    assert redact(text).startswith("[card •••• ")


@pytest.mark.parametrize("digits", [digits for digits in ALL_NUMBERS if len(digits) >= 14])
@pytest.mark.parametrize("after", ["1227", ""])
def test_redact_masks_a_card_within_a_longer_number(digits, after):
    assert digits[:8] not in redact(f"0001{digits}{after}")


@pytest.mark.parametrize("length", [12, 16, 19])
def test_redact_masks_a_number_of_no_known_brand(length):
    digits = with_check_digit("9" + "1" * (length - 2))
    assert redact(f"order {digits}") == f"order [card •••• {digits[-4:]}]"


SHORT = with_check_digit("123456")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"item 961234567891 of {SHORT}", id="apart"),
        pytest.param(f"961234567891 {SHORT}", id="too short by itself, too long together"),
        pytest.param(f"0001{NOBODYS}1227", id="of no brand within a longer one"),
        pytest.param(f"order {with_check_digit('9111111111')}", id="11 digits"),
        pytest.param(f"order {grouped(with_check_digit('9' + '1' * 18), ' ')}", id="20 digits in groups"),
    ],
)
def test_redact_leaves_numbers_that_are_no_cards(text):
    assert redact(text) == text


# Each with a time of day behind it that makes a number of it which satisfies Luhn.
DAYS = ["1999-12-31", "2026-05-30", "2026-10-01", "31-12-1999", "30-05-2026"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(str(Token.generate()), id="token"),
        pytest.param(str(uuid.uuid4()), id="uuid"),
        *(INNOCENT[name] for name in INNOCENT if "UUID" in name or name == "token"),
        *(f"{day} {with_check_digit(day.replace('-', '') + '120')[8:]}" for day in DAYS),
        "0" * 16,
    ],
)
def test_redact_leaves_tokens_and_uuids(text):
    assert redact(text) == text


DIGESTS = st.binary(min_size=16, max_size=16).map(bytes.hex).filter(lambda text: not text.isdecimal())
DIGITS_AND_MORE = st.text(st.sampled_from("0123456789" * 3 + " -./%\\u+&#;x\u00a0\u200b１•"), max_size=60)
ANY_TEXT = st.text(st.characters(), max_size=60) | DIGITS_AND_MORE
WITH_CARDS = st.lists(st.sampled_from([*WRITTEN.values(), *INNOCENT.values()]) | ANY_TEXT, max_size=4).map("".join)


@given(WITH_CARDS)
def test_redact_leaves_no_card_number(text):
    assert not contains_pan(redact(text))


@given(WITH_CARDS)
def test_redact_twice_is_redact_once(text):
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("unseen", ["\x00", "\x1f", "\x7f", "\u200b"])
def test_a_date_within_a_card_number_does_not_hide_it(unseen):
    digits = with_check_digit("3095020000000")
    written_out = f"{digits[:3]}{unseen}{digits[3]}-{digits[4]}-{digits[5:9]}{unseen}{digits[9:]}"
    assert contains_pan(written_out)


@given(st.data())
def test_no_way_to_write_a_card_number_hides_it(data):
    # Of 13 digits it may be an EAN; see `is_article_number`.
    brand, digits = data.draw(issued(shortest=14))
    text = data.draw(surrounded(data.draw(written(digits))))

    assert contains_pan(text)
    assert brand in [each.brand for each in find_pans(text)]
    assert not any(digits[: BIN_LENGTH + 1].encode() in reading for _, reading in texts(redact(text).encode()))


@given(st.data())
def test_nothing_at_all_may_be_masked_where_there_are_too_few_digits(data):
    """Whatever stands between them."""
    pieces = st.text(st.characters(exclude_categories=["Cs", "Nd", "No", "Nl"]), max_size=8)
    digits = data.draw(st.text("0123456789", max_size=11))
    text = "".join(data.draw(pieces) + digit for digit in digits)
    # Its own ideas of what an escape is.
    assume(not any(mark in text for mark in "%\\&"))

    assert not contains_pan(text)
    assert redact(text) == text


@given(st.uuids() | st.uuids(version=4).map(lambda uuid: f"tok1_{uuid}") | DIGESTS | st.dates().map(str))
def test_what_is_told_by_its_shape_is_never_masked(text):
    assert not contains_pan(f"see {text}, please")
    assert redact(f"see {text}, please") == f"see {text}, please"


LEAVES = digits(shortest=14).flatmap(
    lambda number: st.sampled_from([number, number.encode(), int(number), float(number), None])
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(digits(shortest=14), inner, max_size=1),
    max_leaves=6,
)


def leaves(data):
    if isinstance(data, dict):
        return [*data, *(leaf for value in data.values() for leaf in leaves(value))]
    return [leaf for value in data for leaf in leaves(value)] if isinstance(data, list) else [data]


@given(NESTED)
def test_no_depth_of_data_hides_a_card_number(data):
    redacted = redact_data(data)

    assert not any(contains_pan(str(leaf)) for leaf in leaves(redacted))
    assert len(leaves(redacted)) == len(leaves(data))


@given(st.text(st.sampled_from("\ud800\udfff4111%\\xu&#")))
def test_lone_surrogates_are_just_text(text):
    assert isinstance(redact(text), str)
    assert contains_pan(text) in (True, False)


HOSTILE = {
    "digits": "4",
    "spaced digits": "1 ",
    "dots": "1.",
    "spaces": " ",
    "backslashes": "\\",
    "percents": "%25",
    "percent digits": "%34",
    "hex": "a1",
    "IBAN": "AB12 ",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_the_time_is_linear(unit):
    def seconds(length):
        text = unit * (length // len(unit))
        started = time.process_time()
        redact(text)
        contains_pan(text)
        return time.process_time() - started

    # Four times the text takes four times as long, sixteen times if it were quadratic.
    assert seconds(200_000) < 10 * seconds(50_000) + 0.05
