from datetime import date

import pytest

from vault.expiry import InvalidExpiry, last_day_of_month, parse_expiry


@pytest.mark.parametrize("text", ["02/28", "2/28", " 02 / 2028 ", "02-28", "2028-02"])
def test_a_month_is_kept_as_its_last_day(text):
    assert parse_expiry(text) == date(2028, 2, 29)


@pytest.mark.parametrize("text", ["", "13/28", "00/28", "02/1928", "2028-13", "0228", "02/2", "٠٢/28", None, 228])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(InvalidExpiry):
        parse_expiry(text)


def test_last_day():
    assert last_day_of_month(date(2027, 12, 1)) == date(2027, 12, 31)
