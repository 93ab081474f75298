import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User

from vault.exceptions import DetokenizationDenied
from vault.policy import authorize_detokenize

pytestmark = pytest.mark.django_db


def user(name="sam", **options):
    return User.objects.create_user(name, **options)


def grant(to):
    to.add(Permission.objects.get(codename="detokenize_pan", content_type__app_label="vault"))


def test_the_right_may_be_given_to_the_user_or_to_a_group():
    one, two, group = user("one"), user("two"), Group.objects.create(name="Fraud")
    grant(one.user_permissions)
    grant(group.permissions)
    two.groups.add(group)
    for actor in (one, two):
        authorize_detokenize(actor, purpose="refund")


@pytest.mark.parametrize(
    "actor",
    [
        pytest.param(lambda: None, id="nobody"),
        pytest.param(AnonymousUser, id="anonymous"),
        pytest.param(user, id="customer"),
        pytest.param(lambda: user(is_staff=True), id="staff"),
        pytest.param(lambda: user(is_staff=True, is_superuser=True), id="superuser"),
        pytest.param(User, id="unsaved"),
    ],
)
def test_everybody_else_is_refused(actor):
    with pytest.raises(DetokenizationDenied):
        authorize_detokenize(actor(), purpose="refund")


def test_a_user_who_was_deactivated_is_refused():
    actor = user(is_active=False)
    grant(actor.user_permissions)
    with pytest.raises(DetokenizationDenied):
        authorize_detokenize(actor, purpose="refund")


@pytest.mark.parametrize("purpose", ["", "curiosity", "REFUND"])
def test_the_purpose_must_be_on_the_list(purpose):
    actor = user()
    grant(actor.user_permissions)
    with pytest.raises(DetokenizationDenied):
        authorize_detokenize(actor, purpose=purpose)
