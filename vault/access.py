"""Who could read one card now, and why: the rules of `vault.policy` asked about everybody at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import Max, Q
from django.utils import timezone

from vault import policy
from vault.backend import current_vault
from vault.conf import VaultConfig, vault_config
from vault.exceptions import Refusal, VaultError
from vault.keylist import key_ring
from vault.keypolicy import KeyUser, key_users
from vault.models import Card, RevealRequest
from vault.policy import Actor, Right
from vault.purposes import PurposeRule

# With one of these and the admin, staff can give themselves any right.
_GRANTING: Final = ("change_group", "change_permission")


@dataclass(frozen=True, slots=True)
class APITokens:
    """The live API tokens of a user. `latest` is when the last of them expires; None if one never does."""

    count: int
    latest: datetime | None


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with the right to read cards.

    :param through: "directly", or the names of groups
    :param purposes: those that they may name; networks and hours of a rule are conditions and not looked at
    :param obstacles: why not now; empty if they can
    :param by_break_glass: that an approval is all they lack, and they can do without it, with an alarm
    :param approved: the request that lets them see this card, if they need one and have it
    """

    id: str
    name: str
    through: tuple[str, ...]
    purposes: tuple[PurposeRule, ...]
    budget: int
    spent: int
    obstacles: tuple[Refusal, ...]
    by_break_glass: bool
    approved: int | None
    api_tokens: APITokens | None

    @property
    def is_able(self) -> bool:
        return not self.obstacles


@dataclass(frozen=True, slots=True)
class Granter:
    """Somebody without the right who could give it to themselves, and by what."""

    id: str
    name: str
    by: str


@dataclass(frozen=True, slots=True)
class Request:
    """A reveal request for this card that is waiting or approved."""

    id: int
    state: str
    requester: str
    approver: str
    purpose: str
    expires: datetime
    may_approve: tuple[str, ...]


@dataclass(slots=True)
class Access:
    """Everything that leads to one card. `key_problem` is what AWS answered instead of the policy of the card key."""

    token: str
    is_erased: bool
    readers: Sequence[Reader] = ()
    granters: Sequence[Granter] = ()
    requests: Sequence[Request] = ()
    needs_approval: bool = False
    has_break_glass: bool = False
    key_users: Sequence[KeyUser] = ()
    key_problem: str = ""


def explain(card: Card) -> Access:
    """Who could read this card now. Calls KMS for the policy of the card key, and opens nothing.

    Raises `AuditUnavailable`, as locks and budgets stand in the audit log.
    """
    access = Access(card.token, is_erased=card.status == Card.Status.ERASED)
    if access.is_erased:
        return access
    config = vault_config()
    access.needs_approval, access.has_break_glass = config.REVEAL_APPROVAL, config.BREAK_GLASS
    access.readers = [_reader(user, card, config) for user in policy.holders(Right.DETOKENIZE)]
    access.granters = granters()
    access.requests = _requests(card)
    try:
        session = current_vault().session
        found = [user for key in key_ring(config).opening for user in key_users(session.key_policy(key.name))]
        # During a rotation the same people stand in the policies of several keys.
        access.key_users = [user for place, user in enumerate(found) if user not in found[:place]]
    except VaultError as error:
        access.key_problem = error.aws_answer or error.message
    return access


def _reader(user: Any, card: Card, config: VaultConfig) -> Reader:
    purposes = tuple(policy.nameable(user, config))
    approved = _approved(user, card, purposes) if policy.needs_approval(user, config) else None
    spent, budget = policy.spent(str(user.pk), policy.DETOKENIZE), policy.read_budget(user, config)
    found = {
        Refusal.PURPOSE: not config.PURPOSES,
        Refusal.GROUP: bool(config.PURPOSES) and not purposes,
        Refusal.APPROVAL: policy.needs_approval(user, config) and approved is None,
        Refusal.LOCKED: policy.is_locked(str(user.pk)),
        Refusal.BUDGET: spent >= budget,
    }
    obstacles = tuple(refusal for refusal, is_met in found.items() if is_met)
    return Reader(
        id=str(user.pk),
        name=user.get_username(),
        through=_through(user),
        purposes=purposes,
        budget=budget,
        spent=spent,
        obstacles=obstacles,
        # Asked for in the admin, where only staff are.
        by_break_glass=config.BREAK_GLASS and user.is_staff and obstacles == (Refusal.APPROVAL,),
        approved=approved,
        api_tokens=_api_tokens(user),
    )


def _through(user: Actor) -> tuple[str, ...]:
    right = policy.grants(Right.DETOKENIZE)
    directly = ("directly",) if right.filter(user=user.pk).exists() else ()
    groups = Group.objects.filter(user=user.pk, permissions__in=right).order_by("name")
    return (*directly, *groups.values_list("name", flat=True))


def _approved(user: Actor, card: Card, purposes: Sequence[PurposeRule]) -> int | None:
    return (
        RevealRequest.objects.filter(
            card=card,
            requester=user.pk,
            state=RevealRequest.State.APPROVED,
            expires_at__gt=timezone.now(),
            purpose__in=[rule.name for rule in purposes],
        )
        .values_list("pk", flat=True)
        .first()
    )


def _api_tokens(user: Actor) -> APITokens | None:
    """None without knox, which a project that installs the vault may do without, and for somebody without a token."""
    if not apps.is_installed("knox"):
        return None
    model = apps.get_model(getattr(settings, "KNOX_TOKEN_MODEL", "knox.AuthToken"))
    mine = model._default_manager.filter(user=user.pk)  # noqa: SLF001 - documented API
    live = mine.filter(Q(expiry=None) | Q(expiry__gt=timezone.now()))
    count = live.count()
    if not count:
        return None
    never = live.filter(expiry=None).exists()
    return APITokens(count, None if never else live.aggregate(latest=Max("expiry"))["latest"])


def granters() -> list[Granter]:
    users = get_user_model()
    meta = users._meta
    change = Q(content_type__app_label="auth", codename__in=_GRANTING)
    change |= Q(content_type__app_label=meta.app_label, codename=f"change_{meta.model_name}")
    permissions = Permission.objects.filter(change)
    candidates = users._default_manager.filter(  # noqa: SLF001 - documented API
        Q(is_superuser=True) | Q(user_permissions__in=permissions) | Q(groups__permissions__in=permissions),
        is_active=True,
    )
    found = []
    for user in candidates.distinct().order_by(users.USERNAME_FIELD):
        if policy.is_granted(user, Right.DETOKENIZE) or not (user.is_superuser or user.is_staff):
            continue
        held = permissions.filter(Q(user=user.pk) | Q(group__user=user.pk)).distinct().order_by("codename")
        names = [f"{app}.{code}" for app, code in held.values_list("content_type__app_label", "codename")]
        found.append(Granter(str(user.pk), user.get_username(), "superuser" if user.is_superuser else ", ".join(names)))
    return found


def _requests(card: Card) -> list[Request]:
    approvers = [(user.pk, user.get_username()) for user in policy.holders(Right.APPROVE)]
    states = [RevealRequest.State.PENDING, RevealRequest.State.APPROVED]
    current = card.reveal_requests.filter(state__in=states, expires_at__gt=timezone.now())
    return [
        Request(
            id=request.pk,
            state=request.state,
            requester=request.requester.get_username(),
            approver=request.decider.get_username() if request.decider else "",
            purpose=request.purpose,
            expires=request.expires_at,
            may_approve=tuple(name for key, name in approvers if key != request.requester_id),
        )
        for request in current.select_related("requester", "decider").order_by("created_at", "pk")
    ]
