import hashlib
import hmac

import pytest

from tests.cards import NUMBERS
from tests.golden.generations import Generation, generations, named
from vault.fingerprints import FingerprintKey, derive, version_of
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
    with pytest.raises(ValueError, match=r"^A fingerprint secret has 32 bytes\.$"):
        FingerprintKey(version=1, secret=b"short")
    assert "kkk" not in repr(KEY)


@pytest.mark.parametrize("version", [1, 2, 10, 999_999_999])
def test_a_fingerprint_says_the_version_of_its_key(version):
    fingerprint = FingerprintKey(version=version, secret=b"k" * 32).fingerprint(PAN(NUMBERS["amex"][0]))
    assert version_of(fingerprint) == version


@pytest.mark.parametrize(
    "text", ["", "fp1_", "fp0_" + "0" * 64, "fp01_" + "0" * 64, "fp1_" + "0" * 63, "fp1_" + "0" * 65, "fp1_" + "G" * 64]
)
def test_any_other_text_has_no_version(text):
    assert version_of(text) is None


@pytest.mark.parametrize("folder", generations(), ids=lambda folder: folder.name)
def test_fingerprints_and_keys_are_those_of_earlier_versions(folder):
    golden, secret = Generation.read(folder).content, bytes(range(32))
    key = FingerprintKey(version=1, secret=secret)
    assert {name: key.fingerprint(named(name)) for name in golden["fingerprints"]} == golden["fingerprints"]
    assert {use: derive(secret, use=use.encode()).hex() for use in golden["derived"]} == golden["derived"]
    assert (len(golden["fingerprints"]), len(golden["derived"])) == (8, 3)
