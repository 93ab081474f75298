import pytest

from billing.checks import W_FRESH, W_IDLE, W_SECOND_FACTOR, check_sign_in
from billing.settings import base


@pytest.mark.parametrize(
    ("required", "seconds", "found"),
    [(True, 900, []), (False, 900, [W_SECOND_FACTOR]), (True, 901, [W_IDLE])],
    ids=["right", "no second factor", "too long"],
)
def test_what_must_not_be_used_with_real_cards_is_found(settings, required, seconds, found):
    settings.STAFF_MFA_REQUIRED, settings.STAFF_IDLE_SECONDS = required, seconds
    assert check_sign_in(None) == found


@pytest.mark.parametrize(("seconds", "found"), [(900, []), (901, [W_FRESH])])
def test_an_identity_is_confirmed_for_a_while_only(settings, seconds, found):
    settings.STAFF_MFA_REQUIRED, settings.IDENTITY_FRESH_SECONDS = True, seconds
    assert check_sign_in(None) == found


def test_a_mail_server_that_does_not_answer_is_not_waited_for():
    assert base.EMAIL_TIMEOUT == 5
