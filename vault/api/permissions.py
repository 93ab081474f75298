"""Who may do what with tokens through the API. Where digits come out, the services decide by themselves."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from vault import policy
from vault.policy import Right

_VIEW = "vault.view_card"


class MayTokenize(BasePermission):
    """A trusted service account, which stores card numbers and uses any token. Being a superuser is no such right."""

    rights: ClassVar[tuple[str, ...]] = (f"vault.{Right.TOKENIZE}",)

    def has_permission(self, request: Request, view: Any) -> bool:
        return policy.is_granted(request.user, Right.TOKENIZE)


class MayViewCard(BasePermission):
    """Who stores cards sees them as well: brand, BIN, last four and expiry. What is masked is Django's to grant."""

    rights: ClassVar[tuple[str, ...]] = (_VIEW, f"vault.{Right.TOKENIZE}")

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.has_perm(_VIEW) or policy.is_granted(request.user, Right.TOKENIZE)
