"""The service accounts of the API on one page of the admin: what each may do, from where, with which tokens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.contrib.admin import ModelAdmin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from knox.models import AuthToken

from billing.api_accounts import last_use, networks_of
from billing.models import APIAccount
from billing.rights import OF_API
from billing.token_digests import start_of
from vault.admin.pages import page

_PER_PAGE: Final = 50


class TokenLine(NamedTuple):
    """A token by the start of its digest. `revoke` leads to the question before it is taken, for those who may."""

    start: str
    expiry: datetime | None
    is_live: bool
    last_used: datetime | None
    revoke: str


class AccountLine(NamedTuple):
    """A service account; `address` leads to its user, for those who may see users."""

    name: str
    address: str
    is_active: bool
    rights: list[str]
    networks: list[str]
    tokens: list[TokenLine]
    last_used: datetime | None


class AccountsMixin(ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    """The page, beside the list of tokens and for those who may see that."""

    def get_urls(self) -> list[URLPattern]:
        own = path("accounts/", self.admin_site.admin_view(self.accounts_view), name="knox_authtoken_accounts")
        return [own, *super().get_urls()]

    @method_decorator(require_safe)
    def accounts_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found: Page[User] = Paginator(service_accounts(), _PER_PAGE).get_page(request.GET.get("page"))
        may_see, may_revoke = request.user.has_perm("auth.view_user"), self.has_delete_permission(request)
        accounts = [_line(user, may_see=may_see, may_revoke=may_revoke) for user in found]
        template = "admin/knox/authtoken/accounts.html"
        return page(self, request, template, title=_("Service accounts"), accounts=accounts, found=found)


def service_accounts() -> QuerySet[User]:
    """Who is not staff, and has a token, a network or a right of the API. What a line shows comes in six queries."""
    of_api = Permission.objects.filter(content_type__app_label__in=OF_API)
    mine = OuterRef("pk")
    has_something = (
        Q(Exists(AuthToken.objects.filter(user=mine)))
        | Q(Exists(APIAccount.objects.filter(user=mine)))
        | Q(Exists(of_api.filter(user=mine)))
        | Q(Exists(of_api.filter(group__user=mine)))
    )
    rights = of_api.select_related("content_type").order_by("content_type__app_label", "codename")
    return (
        User.objects.filter(has_something, is_staff=False, is_superuser=False)
        .select_related("api_account")
        .prefetch_related(
            Prefetch("user_permissions", queryset=rights, to_attr="rights_of_api"),
            Prefetch("groups", queryset=Group.objects.prefetch_related(Prefetch("permissions", queryset=rights))),
            Prefetch("auth_token_set", queryset=AuthToken.objects.select_related("use").order_by("created", "digest")),
        )
        .order_by("username")
    )


def _line(user: Any, *, may_see: bool, may_revoke: bool) -> AccountLine:
    tokens = [_token(each, may_revoke=may_revoke) for each in user.auth_token_set.all()]
    return AccountLine(
        user.get_username(),
        reverse("admin:auth_user_change", args=[user.pk]) if may_see else "",
        user.is_active,
        sorted(set(_rights(user))),
        networks_of(user),
        tokens,
        max((each.last_used for each in tokens if each.last_used), default=None),
    )


def _rights(user: Any) -> Iterator[str]:
    held = [*user.rights_of_api, *(right for group in user.groups.all() for right in group.permissions.all())]
    for right in held:
        yield f"{right.content_type.app_label}.{right.codename}"


def _token(token: Any, *, may_revoke: bool) -> TokenLine:
    is_live = token.expiry is None or token.expiry > timezone.now()
    revoke = reverse("admin:knox_authtoken_delete", args=[quote(token.pk)]) if may_revoke else ""
    return TokenLine(start_of(token.digest), token.expiry, is_live, last_use(token), revoke)
