"""Card numbers for tests. No other file of the tests has digits of a card: they are published numbers, or canaries.

The published ones are the payment industry's well-known test numbers; no account stands behind any of them.
"""

NUMBERS: dict[str, tuple[str, ...]] = {
    "visa": ("4111111111111111", "4242424242424242", "4012888888881881", "4222222222222", "4000000000000000006"),
    "mastercard": ("5555555555554444", "5105105105105100", "2223003122003222"),
    "amex": ("378282246310005", "371449635398431"),
    "discover": ("6011111111111117", "6011000990139424"),
    "diners": ("30569309025904", "38520000023237", "36227206271667"),
    "jcb": ("3530111333300000", "3566002020360505"),
    "unionpay": ("6200000000000005", "6240008631401148", "6250941006528599"),
    "maestro": ("6759649826438453", "6761000000000006"),
}
ALL_NUMBERS = tuple(digits for numbers in NUMBERS.values() for digits in numbers)

# The BIN of Visa's EMV test cards: an issuer without cardholders, from which every canary is drawn.
CANARY_BIN = "47617390"


def with_check_digit(digits: str) -> str:
    """`digits` and the Luhn check digit that makes a card number of them.

    The tests' own arithmetic: the product's is among what they test.
    """
    total = 0
    for position, digit in enumerate(reversed(digits)):
        total += int(digit) if position % 2 else sum(divmod(int(digit) * 2, 10))
    return f"{digits}{-total % 10}"


def grouped(digits: str, separator: str, size: int = 4) -> str:
    """`digits` in groups of `size`, as people write them."""
    return separator.join(digits[start : start + size] for start in range(0, len(digits), size))
