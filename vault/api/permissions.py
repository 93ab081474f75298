"""Who may do what with tokens through the API. None of this gives out digits."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class MayTokenize(BasePermission):
    """A trusted service account, which stores card numbers and uses any token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.has_perm("vault.tokenize_pan")


class MayViewCard(BasePermission):
    """Who stores cards sees them as well: brand, BIN, last four and expiry."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.has_perm("vault.view_card") or request.user.has_perm("vault.tokenize_pan")
