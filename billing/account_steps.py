"""What a customer should do about the account; `orders.nextsteps` puts it among what is to be done about orders."""

from __future__ import annotations

from collections.abc import Iterator

from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.translation import gettext as _

from billing.second_factor import has_second_factor
from orders.nextsteps import Step, Urgency


def account_steps(user: User) -> Iterator[Step]:
    """Verify the address, and do not rely on a password alone. Costs two queries."""
    if EmailAddress.objects.filter(user=user, email__iexact=user.email, verified=False).exists():
        reason = _("Your e-mail address is not verified yet.")
        yield Step(Urgency.EMAIL_UNVERIFIED, reason, _("Verify it"), reverse("account_email"))
    if not has_second_factor(user):
        reason = _("Your account is protected by a password alone. A second factor keeps others out who learn it.")
        yield Step(Urgency.SECOND_FACTOR, reason, _("Set up two-factor sign-in"), reverse("mfa_index"))
