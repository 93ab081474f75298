"""Random values of each kind of number that people write, after the rules of the kind, check digits included."""

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from stdnum import ean, iban, luhn

_YEARS_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_PHONES = (("+49 1", "51 ########"), ("+1 ", "2## ### ####"), ("+44 7", "7## ######"), ("+33 6 ", "## ## ## ##"),
           ("+91 9", "####-#####"), ("+86 1", "3# #### ####"), ("+55 11 9", "####-####"))  # fmt: skip


def digits(draw: random.Random, count: int) -> str:
    return f"{draw.randrange(10**count):0{count}}"


def filled(draw: random.Random, form: str) -> str:
    return "".join(digits(draw, 1) if character == "#" else character for character in form)


def moment(draw: random.Random, years: range = range(30)) -> datetime:
    first, last = (each * 365 * 24 * 3600 * 10**6 for each in (years[0], years[-1] + 1))
    return _YEARS_2000 + timedelta(microseconds=draw.randrange(first, last))


def birthday(draw: random.Random) -> datetime:
    return moment(draw, range(-70, 10))


def grouped(text: str, size: int) -> str:
    return " ".join(text[start : start + size] for start in range(0, len(text), size))


def phone(draw: random.Random) -> str:
    start, rest = draw.choice(_PHONES)
    return start + filled(draw, rest)


def iban_of(draw: random.Random, country: str, account: str) -> str:
    rest = filled(draw, account)
    return f"{country}{iban.calc_check_digits(f'{country}00{rest}')}{rest}"


def with_luhn(text: str) -> str:
    return text + luhn.calc_check_digit(text)


def sscc(draw: random.Random) -> str:
    rest = digits(draw, 17)
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(rest))
    return f"{rest}{-total % 10}"


def ups(draw: random.Random) -> str:
    return "1Z" + "".join(draw.choice("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(6)) + digits(draw, 10)


def ean13(draw: random.Random) -> str:
    rest = draw.choice(("40", "50", "978", "690", "30", "45", "54")) + digits(draw, 12)
    return rest[:12] + ean.calc_check_digit(rest[:12])


Kind = Callable[[random.Random], str]

#: By kind: how to draw one. None may be refused.
NEVER: dict[str, Kind] = {
    "UUID": lambda draw: str(uuid.UUID(int=draw.getrandbits(128), version=4)),
    "SHA-1": lambda draw: f"{draw.getrandbits(160):040x}",
    "SHA-256": lambda draw: f"{draw.getrandbits(256):064x}",
    "git id": lambda draw: f"{draw.getrandbits(28):07x}",
    "phone number": phone,
    "phone number, E.164": lambda draw: phone(draw).replace(" ", "").replace("-", ""),
    "IBAN, German": lambda draw: iban_of(draw, "DE", "#" * 18),
    "IBAN, German, in print": lambda draw: grouped(iban_of(draw, "DE", "#" * 18), 4),
    "IBAN, French, in print": lambda draw: grouped(iban_of(draw, "FR", "#" * 20 + "##0"), 4),
    "IBAN, Danish": lambda draw: iban_of(draw, "DK", "#" * 14),
    "time, ISO": lambda draw: moment(draw).isoformat(),
    "time, compact": lambda draw: f"{moment(draw):%Y%m%d%H%M%S}",
    "time, seconds": lambda draw: str(int(moment(draw).timestamp())),
    "time, milliseconds": lambda draw: str(int(moment(draw).timestamp() * 10**3)),
    "time, microseconds": lambda draw: str(int(moment(draw).timestamp() * 10**6)),
    "time, nanoseconds": lambda draw: str(int(moment(draw).timestamp() * 10**9)),
    "UPS": ups,
    "USPS, 22 digits": lambda draw: "94" + digits(draw, 20),
    "USPS, in print": lambda draw: grouped("94" + digits(draw, 20), 4),
    "FedEx, 12 digits": lambda draw: draw.choice("79") + digits(draw, 11),
    "FedEx, 20 digits": lambda draw: "6129" + digits(draw, 16),
    "DHL, JJD": lambda draw: "JJD01" + digits(draw, 16),
    "DPD": lambda draw: "0" + digits(draw, 13),
    "S10": lambda draw: f"RR{digits(draw, 9)}DE",
    "SSCC": lambda draw: "00" + sscc(draw),
    "EAN-13": ean13,
    "GTIN-14": lambda draw: "1" + ean13(draw),
    "IMEI": lambda draw: with_luhn("35" + digits(draw, 12)),
    "ICCID": lambda draw: with_luhn("89" + digits(draw, 16)),
    "VAT id": lambda draw: f"DE{digits(draw, 9)}",
    "invoice number": lambda draw: f"RE-{draw.randrange(2000, 2030)}-{digits(draw, 6)}",
    "order number, 10 digits": lambda draw: "45" + digits(draw, 8),
    "GPS": lambda draw: f"{draw.uniform(-90, 90):.14f}, {draw.uniform(-180, 180):.14f}",
    "amount": lambda draw: f"{draw.randrange(10**12) / 100:,.2f}",
    "version": lambda draw: ".".join(str(draw.randrange(most)) for most in (200, 100, 30_000, 10_000)),
    "IPv4": lambda draw: ".".join(str(draw.randrange(256)) for _ in range(4)),
}
#: What cannot be told from a card number, and the largest share of them that is refused: in each case a tenth satisfies
#: Luhn by chance, or all do by rule, of those that begin and end as a brand's cards do.
SOMETIMES: dict[str, tuple[float, Kind]] = {
    "digits, 16": (0.035, lambda draw: digits(draw, 16)),
    "digits, 15": (0.006, lambda draw: digits(draw, 15)),
    "digits, 14": (0.006, lambda draw: digits(draw, 14)),
    "digits, 13": (0.012, lambda draw: digits(draw, 13)),
    "digits, 12": (0.0005, lambda draw: digits(draw, 12)),
    "digits, 19": (0.025, lambda draw: digits(draw, 19)),
    "identity card of China": (0.05, lambda draw: f"{draw.choice((11, 31, 36, 44, 51, 62, 65))}{digits(draw, 16)}"),
    "SIRET, beginning with 3 to 8": (0.07, lambda draw: with_luhn(str(draw.randrange(3, 9)) + digits(draw, 12))),
    "identity number of South Africa": (0.15, lambda draw: with_luhn(f"{birthday(draw):%y%m%d}{digits(draw, 6)}")),
    "phone number without its plus": (0.03, lambda draw: phone(draw).lstrip("+").replace(" ", "").replace("-", "")),
    "FedEx, 15 digits": (0.006, lambda draw: digits(draw, 15)),
    "Amazon order": (0.02, lambda draw: filled(draw, "###-#######-#######")),
}
