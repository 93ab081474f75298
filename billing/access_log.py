"""Who comes and goes, and who gives whom which right: written to the audit log (PCI DSS 10.2).

Signals, against the rule of the house: these things happen in Django, allauth and knox, and every path must be caught.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver
from django.http import HttpRequest
from knox.models import get_token_model

from billing.rights import gives_digits, holds_vault_rights
from billing.token_digests import start_of
from vault.alarms import sound
from vault.audit import record
from vault.exceptions import AuditUnavailable, VaultError
from vault.redaction import redact

_logger: Final = logging.getLogger(__name__)

TOKEN_OF_VAULT: Final = "An API token was made for an account with rights of the vault."  # noqa: S105 - none itself
DIGITS_GIVEN: Final = "Somebody was given a right to see card numbers, or to approve that."


# --- Sessions ------------------------------------------------------------------------------------------------------


@receiver(user_logged_in)
def record_session(request: HttpRequest, user: User, **_: Any) -> None:
    """Raises `AuditUnavailable`, and then nobody is signed in."""
    records = get_authentication_records(request, user)
    methods = ["passkey" if each.get("passwordless") else each["method"] for each in records]
    try:
        record("session.start", actor=user, subject=f"user:{user.pk}", methods=methods)
    except AuditUnavailable:
        request.session.flush()
        request.user = AnonymousUser()
        raise


@receiver(user_logged_out)
def record_sign_out(user: User | None, **_: Any) -> None:
    """Raises nothing: a session that cannot be ended would be worse than an end that is not recorded."""
    if user is None:
        return
    try:
        record("sign_out", actor=user, subject=f"user:{user.pk}")
    except AuditUnavailable:
        _logger.exception("A sign-out could not be recorded.")


# --- Processes -----------------------------------------------------------------------------------------------------


def record_process(operation: str) -> None:
    """Say that a process of the web server starts or stops (PCI DSS 10.2.1.6).

    Raises nothing: the server must come up to say that its audit log is unreachable, and go down in any case.
    """
    try:
        record(operation)
    except VaultError:
        _logger.exception("The start or stop of a process could not be recorded.")


# --- Things that give access: second factors, API tokens, groups ----------------------------------------------------

_CREATED: Final = {Authenticator: "mfa.add", get_token_model(): "token.create", Group: "group.create"}
_DELETED: Final = {Authenticator: "mfa.remove", get_token_model(): "token.delete", Group: "group.delete"}
_ID: Final = "_billing_operation_id"
_LOST: Final = "_billing_lost"
_RENAMING: Final = "_billing_renaming"


def record_creation_intent(sender: type[Model], instance: Any, **_: Any) -> None:
    """Raises `AuditUnavailable` before the thing exists."""
    if instance._state.adding:
        instance.__dict__[_ID] = uuid.uuid4().hex
        about = _about(instance, is_saved=sender is not Group)
        record(_CREATED[sender], outcome="intent", operation_id=instance.__dict__[_ID], **about)


def record_creation(sender: type[Model], instance: Any, created: bool, **_: Any) -> None:
    """The other half of `record_creation_intent`."""
    if not created:
        return
    about = {"operation_id": instance.__dict__.pop(_ID), **_about(instance)}
    if sender is get_token_model() and holds_vault_rights(instance.user):
        # Whoever holds it acts as that account, with nobody else's consent.
        sound(_CREATED[sender], TOKEN_OF_VAULT, **about)
    else:
        record(_CREATED[sender], **about)


def record_deletion(sender: type[Model], instance: Any, **_: Any) -> None:
    """Within the transaction of the deletion, which is undone if this raises."""
    record(_DELETED[sender], **_about(instance), **instance.__dict__.pop(_LOST, {}))


for _model in _CREATED:
    pre_save.connect(record_creation_intent, sender=_model)
    post_save.connect(record_creation, sender=_model)
    post_delete.connect(record_deletion, sender=_model)


@receiver(pre_save, sender=Group)
def record_renaming_intent(instance: Group, using: str, update_fields: frozenset[str] | None, **_: Any) -> None:
    """Budgets and rules of purposes go by the names of groups. Raises `AuditUnavailable` before the name changes."""
    if instance._state.adding or (update_fields is not None and "name" not in update_fields):
        return
    before = Group.objects.using(using).filter(pk=instance.pk).values_list("name", flat=True).first()
    if before is None or before == instance.name:
        return
    names = {"name_before": redact(before), "name": redact(instance.name)}
    change: dict[str, Any] = {"operation_id": uuid.uuid4().hex, "subject": f"group:{instance.pk}", **names}
    instance.__dict__[_RENAMING] = change
    record("group.change", outcome="intent", **change)


@receiver(post_save, sender=Group)
def record_renaming(instance: Group, **_: Any) -> None:
    """The other half of `record_renaming_intent`."""
    if change := instance.__dict__.pop(_RENAMING, None):
        record("group.change", **change)


@receiver(pre_delete, sender=Group)
def note_what_is_lost(instance: Group, **_: Any) -> None:
    """Rights and members, for the event of the deletion: when that is written they are gone."""
    rights = sorted(_names(list(instance.permissions.select_related("content_type"))))
    members = sorted(instance.user_set.values_list("pk", flat=True))
    instance.__dict__[_LOST] = {"rights": rights, "members": members}


def _about(instance: Any, *, is_saved: bool = True) -> dict[str, Any]:
    if isinstance(instance, Group):
        return {"subject": f"group:{instance.pk}" if is_saved else "", "name": redact(instance.name)}
    if isinstance(instance, Authenticator):
        return {"subject": f"user:{instance.user_id}", "kind": str(instance.type)}
    # The start of the digest tells tokens apart, and nothing about the token.
    return {"subject": f"user:{instance.user_id}", "token_digest": start_of(instance.digest)}


# --- Rights --------------------------------------------------------------------------------------------------------

# By the table in between: what the holder calls what is granted, and what that calls its holders.
_GRANTS: Final = {
    User.user_permissions.through: ("user_permissions", "user_set"),
    User.groups.through: ("groups", "user_set"),
    Group.permissions.through: ("permissions", "group_set"),
}
_RIGHTS: Final = "_billing_rights"


def record_rights(
    sender: type[Model], instance: Any, action: str, reverse: bool, model: Any, pk_set: set[int] | None, **_: Any
) -> None:
    """Write down each change of rights, before and after. Raises `AuditUnavailable` before: then nothing changes."""
    moment, _separator, verb = action.partition("_")
    if moment == "pre":
        keys = _held(sender, instance, reverse=reverse) if pk_set is None else set(pk_set)
        instance.__dict__[_RIGHTS] = (uuid.uuid4().hex, keys)
    operation_id, keys = instance.__dict__[_RIGHTS] if moment == "pre" else instance.__dict__.pop(_RIGHTS)
    outcome = "intent" if moment == "pre" else "done"
    others = list(model.objects.filter(pk__in=keys))
    for holder, granted in [(each, [instance]) for each in others] if reverse else [(instance, others)]:
        if granted:
            names = sorted(_names(granted))
            about = {
                "outcome": outcome,
                "operation_id": operation_id,
                "subject": f"{holder._meta.model_name}:{holder.pk}",
                "added": names if verb == "add" else [],
                "removed": [] if verb == "add" else names,
                "is_vault": any(_is_of_vault(each) for each in granted),
            }
            if moment == "post" and verb == "add" and any(gives_digits(each) for each in granted):
                sound("rights.change", DIGITS_GIVEN, **about)
            else:
                record("rights.change", **about)


for _through in _GRANTS:
    m2m_changed.connect(record_rights, sender=_through)


def _held(sender: type[Model], instance: Any, *, reverse: bool) -> set[int]:
    held = getattr(instance, _GRANTS[sender][1 if reverse else 0])
    return set(held.values_list("pk", flat=True))


def _names(granted: list[Any]) -> Iterator[str]:
    for each in granted:
        if isinstance(each, Permission):
            yield f"{each.content_type.app_label}.{each.codename}"
        else:
            yield redact(each.name)


def _is_of_vault(granted: Any) -> bool:
    """True for a right of the vault, and for a group that has one."""
    if isinstance(granted, Permission):
        return granted.content_type.app_label == "vault"
    return bool(granted.permissions.filter(content_type__app_label="vault").exists())
