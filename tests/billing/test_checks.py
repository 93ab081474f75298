import pytest

from billing.checks import W_IDLE, W_SECOND_FACTOR, check_sign_in


@pytest.mark.parametrize(
    ("required", "seconds", "found"),
    [(True, 900, []), (False, 900, [W_SECOND_FACTOR]), (True, 901, [W_IDLE])],
    ids=["right", "no second factor", "too long"],
)
def test_what_must_not_be_used_with_real_cards_is_found(settings, required, seconds, found):
    settings.STAFF_MFA_REQUIRED, settings.STAFF_IDLE_SECONDS = required, seconds
    assert check_sign_in(None) == found
