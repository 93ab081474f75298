"""What is a network that an account may call from, and what is within it."""

import pytest

from billing import networks
from tests.cards import NUMBERS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.0/8,2001:db8::/32", ["10.0.0.0/8", "2001:db8::/32"]),
        (" 10.0.0.0/8 , 10.0.0.0/8", ["10.0.0.0/8"]),
        ("192.0.2.7", ["192.0.2.7/32"]),
        ("2001:DB8:0::1", ["2001:db8::1/128"]),
        ("10.0.0.0/255.0.0.0", ["10.0.0.0/8"]),
        ("::ffff:10.0.0.0/104", ["10.0.0.0/8"]),
        ("::ffff:10.1.2.3", ["10.1.2.3/32"]),
        ("0.0.0.0/0,::/0", ["0.0.0.0/0", "::/0"]),
    ],
)
def test_networks_have_one_spelling(text, found):
    assert networks.parse(text) == found
    assert networks.parse(",".join(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "10.0.0.0/8,",
        "10.0.0.1/8",
        "2001:db8::1/32",
        "10.0.0.0/33",
        "10.0.0/8",
        "010.0.0.0/8",
        "10.0.0.0/8;10.0.0.0/8",
        "example.com",
        "any",
        "fe80::%eth0/64",
        f"fe80::%{NUMBERS['visa'][0]}/64",
        NUMBERS["visa"][0],
        ":".join(NUMBERS["visa"][0][start : start + 4] for start in range(0, 16, 4)) + "::/64",
        ",".join(f"10.0.{number}.0/24" for number in range(networks.MOST + 1)),
    ],
)
def test_what_is_none_is_refused_in_silence(text):
    with pytest.raises(ValueError, match="^$") as caught:
        networks.parse(text)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("source", "is_in"),
    [
        ("10.1.2.3", True),
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:a01:203", True),
        ("::ffff:11.0.0.0", False),
        ("::10.1.2.3", False),
        ("2001:db8:ffff::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("local", False),
        ("10.1.2.3:443", False),
        ("10.1.2.3, 192.0.2.7", False),
    ],
)
def test_an_address_is_within_or_not(source, is_in):
    assert networks.is_within(source, ["10.0.0.0/8", "2001:db8::/32"]) is is_in


def test_all_of_ipv6_is_nothing_of_ipv4():
    assert not networks.is_within("::ffff:10.1.2.3", ["::/0"])


@pytest.mark.parametrize("kept", [["10.0.0.0/8", "junk"], ["10.0.0.1/8"], ["10.0.0.0/8", None], "10"])
def test_what_somebody_broke_lets_nobody_in(kept):
    assert not networks.is_within("10.1.2.3", kept)
