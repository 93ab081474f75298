import hashlib
import hmac

import pytest

from tests.cards import NUMBERS
from vault.fingerprints import FingerprintKey, derive
from vault.pan import PAN

KEY = FingerprintKey(version=1, secret=b"k" * 32)


def test_it_is_the_hmac_of_the_whole_number_under_a_derived_key():
    digits = NUMBERS["visa"][0]
    expected = hmac.new(derive(KEY.secret, use=b"fingerprint"), digits.encode(), hashlib.sha256).hexdigest()
    assert KEY.fingerprint(PAN(digits)) == f"fp1_{expected}"


def test_number_key_and_version_all_count():
    pans = [PAN(NUMBERS["visa"][0]), PAN(NUMBERS["visa"][1])]
    keys = [KEY, FingerprintKey(version=1, secret=b"j" * 32), FingerprintKey(version=2, secret=b"k" * 32)]
    assert len({key.fingerprint(pan) for key in keys for pan in pans}) == 6


def test_each_use_has_a_key_of_its_own():
    assert derive(KEY.secret, use=b"one") != derive(KEY.secret, use=b"two")


def test_a_short_secret_is_refused_and_a_secret_never_shown():
    with pytest.raises(ValueError, match="32 bytes"):
        FingerprintKey(version=1, secret=b"short")
    assert "kkk" not in repr(KEY)
