"""The scanner's own tests: one leak in every sink and in every spelling is seen, and nothing else is."""

import base64
import gzip
import hashlib
import json
import random
import re
import uuid
import zlib
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.cards import ALL_NUMBERS, CANARY_BIN, grouped, with_check_digit
from tests.leaks import LeakFound, Scanner, Sink

FULL_WIDTH = str.maketrans("0123456789", "".join(map(chr, range(0xFF10, 0xFF1A))))
ARABIC_INDIC = str.maketrans("0123456789", "".join(map(chr, range(0x660, 0x66A))))


def digest(name, digits):
    return hashlib.new(name, digits.encode(), usedforsecurity=False)


def deflated(digits):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(f"the number is {digits}".encode()) + compressor.flush()


SPELLINGS = {
    "plain": lambda d: d,
    "in a word": lambda d: f"x{d}y",
    "integer": int,
    "nested": lambda d: [{"a": (d, 1)}],
    "key": lambda d: {d: 1},
    "JSON": lambda d: json.dumps({"n": int(d)}),
    "spaces": lambda d: grouped(d, " "),
    "dashes": lambda d: grouped(d, "-"),
    "dots": lambda d: grouped(d, "."),
    "slashes": lambda d: grouped(d, "/"),
    "lines": lambda d: grouped(d, "\r\n"),
    "every digit": "-".join,
    "NBSP": lambda d: grouped(d, "\u00a0"),
    "thin space": lambda d: grouped(d, "\u2009"),
    "zero width": "\u200b".join,
    "percent": lambda d: "".join(f"%{ord(digit):02X}" for digit in d),
    "percent spaces": lambda d: quote(grouped(d, " ")),
    "percent twice": lambda d: quote(quote(grouped(d, "\u00a0"))),
    "unicode escape": lambda d: "".join(f"\\u{ord(digit):04x}" for digit in d),
    "repr of NBSP": lambda d: repr(grouped(d, "\xa0")),
    "HTML": lambda d: grouped(d, "&nbsp;"),
    "HTML digits": lambda d: "".join(f"&#{ord(digit)};" for digit in d),
    "full width": lambda d: d.translate(FULL_WIDTH),
    "full width and spaces": lambda d: grouped(d, "\u3000").translate(FULL_WIDTH),
    "Arabic-Indic": lambda d: d.translate(ARABIC_INDIC),
    "UTF-16 LE": lambda d: d.encode("utf-16-le"),
    "UTF-16 BE": lambda d: d.encode("utf-16-be"),
    "UTF-16 spaces": lambda d: grouped(d, " ").encode("utf-16"),
    "reversed": lambda d: d[::-1],
    "reversed dashes": lambda d: grouped(d, "-")[::-1],
    "hex": lambda d: d.encode().hex(),
    "hex with colons": lambda d: d.encode().hex(":"),
    "hex of UTF-16": lambda d: f"the number is {d}".encode("utf-16-le").hex(),
    "packed decimal": bytes.fromhex,
    "packed decimal, shifted": lambda d: bytes.fromhex(f"0{d}f"),
    "integer big endian": lambda d: int(d).to_bytes(8, "big"),
    "integer little endian": lambda d: int(d).to_bytes(8, "little"),
    "base64 at 0": lambda d: base64.b64encode(d.encode()),
    "base64 at 1": lambda d: base64.b64encode(f".{d}".encode()),
    "base64 at 2": lambda d: base64.b64encode(f"..{d}".encode()),
    "base64 in a path": lambda d: "/x/y/" + base64.urlsafe_b64encode(f"??>{d}".encode()).decode(),
    "base64 of spaces": lambda d: base64.b64encode(f"the number is {grouped(d, ' ')}".encode()),
    "base64 of base64": lambda d: base64.b64encode(base64.b64encode(f"the number is {d}".encode())),
    "gzip": lambda d: gzip.compress(d.encode()),
    "zlib": lambda d: zlib.compress(d.encode()),
    "zlib in the middle": lambda d: b"\x00\x01" + zlib.compress(d.encode()) + b"\x02",
    "deflate": deflated,
    "zlib in base64": lambda d: base64.urlsafe_b64encode(zlib.compress(f"the number is {d}".encode())).rstrip(b"="),
    "gzip in hex": lambda d: gzip.compress(d.encode()).hex(),
    "gzip in base64 in gzip": lambda d: gzip.compress(base64.b64encode(gzip.compress(d.encode()))),
    **{
        f"{name} {form}": lambda d, name=name, form=form: FORMS[form](digest(name, d))
        for name in ("md5", "sha1", "sha256", "sha512")
        for form in ("hex", "upper hex", "raw", "base64")
    },
    "first nine": lambda d: d[:9],
    "first six and last ten": lambda d: f"{d[:6]}******{d[6:]}",
    "inner nine": lambda d: f"****{d[4:13]}***",
    "masked but for five": lambda d: f"•••• {d[-5:]}",
    "starred but for six": lambda d: f"**********{d[-6:]}",
    "five as a value": lambda d: f'<td title="{d[-5:]}">',
    "five as an element": lambda d: f"<td>{d[-5:]}</td>",
    "five as a cell": lambda d: ["", d[-5:], ""],
    "last seven": lambda d: f"ends in 9{d[-7:]}.",
}
FORMS = {
    "hex": lambda made: made.hexdigest(),
    "upper hex": lambda made: made.hexdigest().upper(),
    "raw": lambda made: made.digest(),
    "base64": lambda made: base64.b64encode(made.digest()),
}

# What the product may keep and show (PCI DSS 3.4.1 and 3.5.1).
ALLOWED = {
    "BIN and last4": lambda d: f"{d[:8]}••••{d[-4:]}",
    "BIN, stars, last4": lambda d: f"{d[:8]}****{d[-4:]}",
    "BIN as a cell": lambda d: [d[:8], d[-4:]],
    "BIN in base64": lambda d: base64.b64encode(d[:8].encode()),
    "last4": lambda d: f"•••• {d[-4:]}",
    "last4 as a cell": lambda d: d[-4:],
    "BIN and last4 in JSON": lambda d: json.dumps({"bin": d[:8], "last4": d[-4:]}),
    "microseconds that end alike": lambda d: f'"2026-11-26T18:55:{int(d[-7]) % 6}{d[-7]}.{d[-6:]}+00:00"',
    "keyed digest": lambda d: hashlib.blake2b(d.encode(), key=b"key").hexdigest(),
}


@pytest.fixture
def scanner():
    """A scanner that searches nothing by itself, so that a leak can be planted."""
    return Scanner("planted")


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_seen(scanner, spelled):
    digits = scanner.canary("order form")

    scanner.record(Sink.HTTP, ["before", spelled(digits), "after"], "body")

    assert len(scanner.leaks()) >= 1
    assert all(line.startswith("canary 'order form' leaked into http (body) as ") for line in scanner.leaks())


@pytest.mark.parametrize("digits", ALL_NUMBERS)
@pytest.mark.parametrize("name", ["plain", "spaces", "hex", "packed decimal", "base64 at 1", "sha256 hex", "zlib"])
def test_numbers_of_every_length_are_seen(scanner, digits, name):
    scanner.watch(digits, label="card")
    padded = f"{digits}f" if name == "packed decimal" and len(digits) % 2 else digits

    scanner.record(Sink.FILE, SPELLINGS[name](padded))

    assert len(scanner.leaks()) == 1


@pytest.mark.parametrize("shown", ALLOWED.values(), ids=ALLOWED)
def test_bin_and_last4_are_no_leak(scanner, shown):
    scanner.record(Sink.HTTP, shown(scanner.canary("order form")))

    assert scanner.leaks() == []


def noise(source):
    """Endless random data of the kinds that tests write."""
    while True:
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=source.uniform(0, 10**8))
        yield source.randbytes(400)
        yield str(uuid.UUID(int=source.getrandbits(128)))
        yield hashlib.sha256(source.randbytes(8)).hexdigest()
        yield base64.b64encode(source.randbytes(60))
        yield [moment.isoformat(), moment.timestamp(), int(moment.timestamp() * 1_000_000)]
        yield [source.random(), source.getrandbits(32), source.randrange(10**5), source.randrange(10**9)]
        yield json.dumps({"id": source.randrange(10**4), "port": source.randrange(30_000, 60_000), "at": str(moment)})
        yield zlib.compress(source.randbytes(100))


def test_noise_is_no_leak(scanner):
    for label in "abc":
        scanner.canary(label)
    for digits in ALL_NUMBERS[::6]:
        scanner.watch(digits, label="card")

    for _, blob in zip(range(10_000), noise(random.Random(4)), strict=False):  # noqa: S311 - a seed
        scanner.record(Sink.FILE, blob)

    assert scanner.leaks() == []


def test_the_end_of_a_canary_is_no_number_of_a_row():
    scanner = Scanner("tests/test_a.py::test_b")
    assert {scanner.canary(f"row {number}")[-5] for number in range(50)} == {"0"}


def test_canaries_are_card_numbers_that_differ_and_come_again():
    first, again = (Scanner("tests/test_a.py::test_b") for _ in range(2))
    drawn = [first.canary("a"), first.canary("a"), first.canary("b")]

    assert len(set(drawn)) == 3
    assert drawn == [again.canary("x") for _ in drawn]
    assert all(re.fullmatch(CANARY_BIN + "[0-9]{8}", digits) for digits in drawn)
    assert drawn[0] != Scanner("tests/test_a.py::test_c").canary("a")


def test_a_report_has_label_sink_and_count_but_no_digits(scanner):
    digits = scanner.canary("order form")
    scanner.record(Sink.SQL, [digits, digits], "parameters")
    scanner.record(Sink.FILE, digits, f"{digits}.csv")

    with pytest.raises(LeakFound) as report:
        scanner.check()

    assert str(report.value).splitlines() == [
        "canary 'order form' leaked into file (name withheld) as plain digits (1 time)",
        "canary 'order form' leaked into sql (parameters) as plain digits (2 times)",
    ]


def test_nothing_is_kept_before_the_first_number(scanner):
    scanner.record(Sink.LOG, "x" * 100)

    assert not scanner.is_armed
    scanner.check()


def test_an_exemption_is_for_one_label_and_one_sink(scanner):
    allowed, other = scanner.canary("revealed"), scanner.canary("other")
    scanner.allow("revealed", sink=Sink.HTTP, reason="the answer to a detokenize request is the number")

    scanner.record(Sink.HTTP, allowed)
    scanner.check()
    scanner.record(Sink.LOG, allowed)
    scanner.record(Sink.HTTP, other)

    assert len(scanner.leaks()) == 2


@pytest.mark.parametrize(
    ("label", "sink", "reason"),
    [("typo", "http", "a reason"), ("revealed", "http", " "), ("revealed", "nowhere", "a reason")],
    ids=["unknown label", "no reason", "unknown sink"],
)
def test_an_exemption_must_make_sense(scanner, label, sink, reason):
    scanner.canary("revealed")

    with pytest.raises((AssertionError, ValueError)):
        scanner.allow(label, sink=sink, reason=reason)


def test_a_large_output_is_searched_in_parts(scanner, monkeypatch):
    monkeypatch.setattr("tests.leaks.scanner.MAX_PENDING", 1000)
    digits = scanner.canary("import")
    for text in ("x" * 600, digits, "x" * 600, "x" * 600):
        scanner.record(Sink.COMMAND, text)

    assert len(scanner.leaks()) == 1


def test_of_two_numbers_that_begin_alike_the_one_that_leaked_is_named(scanner):
    for label, account in (("kept", "100000"), ("leaked", "123456")):
        scanner.watch(with_check_digit(f"{CANARY_BIN}1{account}"), label=label)

    scanner.record(Sink.LOG, with_check_digit(f"{CANARY_BIN}1123456"))

    assert scanner.leaks() == ["canary 'leaked' leaked into log as plain digits (1 time)"]


def test_of_a_hundred_numbers_each_is_sought(scanner):
    digits = [scanner.canary(f"row {number}") for number in range(100)]

    scanner.record(Sink.COMMAND, grouped(digits[99], " "))

    assert scanner.leaks() == ["canary 'row 99' leaked into command output as separated plain digits (1 time)"]
