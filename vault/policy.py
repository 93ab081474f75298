"""Who may do what with cards. One answer for pages, admin, API and commands."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Permission
from django.db.models import Q

from vault.conf import vault_config
from vault.exceptions import DetokenizationDenied

Actor = AbstractBaseUser | AnonymousUser


def authorize_detokenize(actor: Actor | None, *, purpose: str) -> None:
    """Return if `actor` may read card numbers for `purpose`, else raise `DetokenizationDenied`.

    The right is `vault.detokenize_pan`, given to the user or to a group of theirs; being a superuser does not replace
    it (PCI DSS 7.2). The purpose is one of `settings.VAULT["PURPOSES"]`.
    """
    if purpose not in vault_config().PURPOSES or not _is_granted(actor, "detokenize_pan"):
        raise DetokenizationDenied


def _is_granted(actor: Actor | None, codename: str) -> bool:
    if actor is None or actor.pk is None or not actor.is_active:
        return False
    granted = Permission.objects.filter(content_type__app_label="vault", codename=codename)
    return granted.filter(Q(user=actor.pk) | Q(group__user=actor.pk)).exists()
