"""What is made sure of whenever a user is saved, by whatever code: no card number in a name, a record of the change, an
alarm where it opens a way to card numbers, and no access left from before to somebody who was deactivated, or became
staff, or is staff no more.

Signals, against the rule of the house: sign-up, admin, commands and other people's packages save users, and none of
them would ask a service of ours.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, User
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver

from billing.rights import holds_digit_rights
from billing.sessions import end_access
from vault.alarms import sound
from vault.audit import record
from vault.validators import validate_no_pan

NAMES: Final = ("username", "email", "first_name", "last_name")
_FLAGS: Final = ("is_active", "is_staff", "is_superuser")
_IDENTIFIERS: Final = ("username", "email")
_CHANGE: Final = "_billing_change"
STANDING: Final = "An account with rights to card numbers, or to all rights, has another standing now."


@receiver(pre_save, sender=User)
def refuse_card_number(instance: User, **_: Any) -> None:
    """Raise `ValidationError` before a name with a card number in it becomes SQL."""
    for name in NAMES:
        validate_no_pan(getattr(instance, name))


@receiver(pre_save, sender=EmailAddress)
def refuse_card_number_in_address(instance: EmailAddress, **_: Any) -> None:
    """The same for the addresses that allauth keeps beside the user."""
    validate_no_pan(instance.email)


@receiver(pre_save, sender=Group)
def refuse_card_number_in_group(instance: Group, **_: Any) -> None:
    """The same for the name of a group."""
    validate_no_pan(instance.name)


@receiver(pre_save, sender=User)
def record_intent(instance: User, using: str, update_fields: frozenset[str] | None, **_: Any) -> None:
    """Write down what is about to change. Raises `AuditUnavailable`: then it does not (PCI DSS 10.2.1.5, 10.7.2)."""
    change = _change(instance, using, update_fields)
    instance.__dict__[_CHANGE] = change
    if change:
        record(outcome="intent", **change)


@receiver(post_save, sender=User)
def record_outcome(instance: User, **_: Any) -> None:
    """Write down what was changed, and end what somebody had who is not active, or was not until now.

    The second is for a deactivation that no signal told of, such as `QuerySet.update()`: nothing revives from before.
    Nor does a session of a customer become one of staff, whose sessions begin with a second factor.
    """
    change = instance.__dict__.pop(_CHANGE, None)
    flags = change.get("flags", {}) if change else {}
    if not instance.is_active or "is_active" in flags or "is_staff" in flags:
        end_access(instance)
    if not change:
        return
    change |= {"subject": f"user:{instance.pk}"}
    if _opens_a_way(instance, change):
        sound(change.pop("operation"), STANDING, **change)
    else:
        record(**change)


def _opens_a_way(user: User, change: dict[str, Any]) -> bool:
    """True if the change is about becoming staff or a superuser, or ceasing to be, and card numbers are behind it."""
    if change["operation"] == "user.create":
        return user.is_superuser
    if "is_superuser" in change["flags"]:
        return True
    return "is_staff" in change["flags"] and (user.is_superuser or holds_digit_rights(user))


@receiver(post_delete, sender=User)
def record_deletion(instance: User, **_: Any) -> None:
    """Within the transaction of the deletion, which is undone if this raises."""
    record("user.delete", subject=f"user:{instance.pk}")


def _change(user: User, using: str, update_fields: frozenset[str] | None) -> dict[str, Any] | None:
    """The event that this save is about; None if nothing changes that matters here."""
    common = {"operation_id": uuid.uuid4().hex}
    if user._state.adding:
        flags = {name: getattr(user, name) for name in _FLAGS}
        return {"operation": "user.create", "subject": "", "username": user.username, "flags": flags, **common}
    watched = [name for name in (*_FLAGS, *_IDENTIFIERS) if update_fields is None or name in update_fields]
    # A stronger hash of the same password is saved without this.
    has_new_password = getattr(user, "_password", None) is not None and (
        update_fields is None or "password" in update_fields
    )
    before = User.objects.using(using).filter(pk=user.pk).values(*watched).first() if watched else None
    changed = [name for name, value in (before or {}).items() if getattr(user, name) != value]
    flags = {name: getattr(user, name) for name in changed if name in _FLAGS}
    fields = [name for name in changed if name in _IDENTIFIERS] + (["password"] if has_new_password else [])
    if not flags and not fields:
        return None
    operation = "password.change" if fields == ["password"] and not flags else "user.change"
    return {"operation": operation, "subject": f"user:{user.pk}", "flags": flags, "fields": fields, **common}
