"""By which names what may never be kept is known (PCI DSS 3.3)."""

import pytest

from vault.redaction import is_forbidden_key

FORBIDDEN_KEYS = """cvv CVV2 cvc cvc2 card_cvc cardCvv card-cvv2 CVVCode cvv_value cid CAV2 csc securityCode
    card-security-code CARD_SECURITY_CODE verificationValue track track1 track_2 Track2Data trackData track_two pin PIN
    pinBlock pin-block card_pin cardPin encryptedPinBlock pin_code magstripe iCVV c.v.v ｃｖｖ cv\u200bv cards[0].cvv
    cvv_field cardTrack my_tracks t.r.a.c.k.2"""
ALLOWED_KEYS = """shipping pinned spin opinion recipient_id tracking_number trackingNumber track_id soundtrack pincushion
    card brand last4 expiry number order_id description acid decide civic service security code verified
    name pineapple happiness cvvv"""


# As they stand in names that are written in one, where no word ends: "usercvv".
OWNERS = ["card", "credit", "debit", "customer", "user", "encrypted", "enc", "raw", "clear", "new", "old", "my", "the"]
CODES = ["cvv", "icvv", "dcvv", "cvc", "csc", "cvn", "cvd", "cav", "cid", "pvv", "epb", "pin", "pins"]
LONG_CODES = [
    kind + what
    for kind in ("security", "verification", "validation", "authentication")
    for what in ("code", "value", "number", "digits")
]
ENDINGS = ["1", "2", "3", "code", "number", "num", "no", "value", "data", "block", "digits", "hash", "s"]
TRACKS = [
    track + what
    for track in ("track", "tracks", "trk")
    for what in ["1", "2", "3", "one", "two", "three", "data", "raw", "equivalent", "equiv"]
]
STRIPES = ["magstripe", "magneticstripe", "magstripedata"]


@pytest.mark.parametrize("code", [*CODES, *LONG_CODES, *TRACKS, *STRIPES, "track", "tracks", "cardsecuritycode"])
def test_each_code_is_known_by_itself_and_as_somebodys(code):
    assert is_forbidden_key(code)
    assert is_forbidden_key(code.upper())
    assert all(is_forbidden_key(f"{owner}{code}") for owner in OWNERS)
    assert not is_forbidden_key(f"x{code}")


@pytest.mark.parametrize("code", [*CODES, *LONG_CODES])
def test_each_code_is_known_with_what_is_added_to_it(code):
    assert all(is_forbidden_key(f"{code}{ending}") for ending in ENDINGS)
    assert is_forbidden_key(f"the{code}1data")
    assert not is_forbidden_key(f"{code}x")


@pytest.mark.parametrize("name", ["CVVField", "fieldCvvName", "CARDCvv", "ACard9CVV", "cvv90", "a9pin7b"])
def test_words_end_at_capitals_and_digits(name):
    assert is_forbidden_key(name)


@pytest.mark.parametrize("name", FORBIDDEN_KEYS.split())
def test_sensitive_authentication_data_is_known_by_its_name(name):
    assert is_forbidden_key(name)


@pytest.mark.parametrize("name", [*ALLOWED_KEYS.split(), ""])
def test_other_names_are_allowed(name):
    assert not is_forbidden_key(name)


@pytest.mark.parametrize("mark", ["\u200b", "\u0301", "\u00ad"], ids=["zero width", "accent", "soft hyphen"])
def test_marks_that_are_not_letters_change_no_name(mark):
    assert is_forbidden_key(mark.join("magstripe"))
    assert not is_forbidden_key(mark.join("spinning"))


def test_a_very_long_name_is_no_trouble():
    assert not is_forbidden_key("a_" * 100_000)
