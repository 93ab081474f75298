"""Which rights of the vault somebody holds, read anew each time: what Django keeps on a user may be of earlier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

#: With these somebody sees card numbers, lets others see them, or hands them over.
DIGITS: Final = frozenset(
    {"detokenize_pan", "detokenize_unattended", "approve_reveal", "request_export", "approve_export"}
)

#: Whose permissions the API asks for.
OF_API: Final = ("orders", "vault")


@dataclass(frozen=True, slots=True)
class HeldRight:
    """A permission that somebody holds: `through` is "directly", or the names of groups."""

    name: str
    meaning: str
    through: tuple[str, ...]


def rights_on_api(user: Any) -> Iterator[HeldRight]:
    """What the account was given on the API and the vault, by name. Whether it is active is not looked at."""
    given = Permission.objects.filter(content_type__app_label__in=OF_API).select_related("content_type")
    held = given.filter(Q(user=user) | Q(group__user=user)).distinct()
    directly = set(given.filter(user=user).values_list("pk", flat=True))
    for right in held.order_by("content_type__app_label", "codename"):
        groups = Group.objects.filter(user=user, permissions=right).order_by("name").values_list("name", flat=True)
        through = (*(["directly"] if right.pk in directly else []), *groups)
        yield HeldRight(f"{right.content_type.app_label}.{right.codename}", right.name, through)


def holds_vault_rights(user: Any) -> bool:
    """True if the user may do more in the vault than look. A superuser holds all; so does one who is not active now."""
    return bool(user.is_superuser) or _of_vault(user).exclude(codename__startswith="view_").exists()


def holds_digit_rights(user: Any) -> bool:
    """True if the user was given a right to see card numbers or to approve it, by name or by a group."""
    return _of_vault(user).filter(codename__in=DIGITS).exists()


def gives_digits(granted: Any) -> bool:
    """True for such a right, and for a group that has one."""
    if isinstance(granted, Permission):
        return granted.content_type.app_label == "vault" and granted.codename in DIGITS
    return bool(granted.permissions.filter(content_type__app_label="vault", codename__in=DIGITS).exists())


def _of_vault(user: Any) -> QuerySet[Permission]:
    held = Permission.objects.filter(content_type__app_label="vault")
    return held.filter(Q(user=user) | Q(group__user=user))
