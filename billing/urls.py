"""Which URLs this process answers, by `settings.SURFACES`."""

from collections.abc import Callable
from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView

from billing import account_pages, api_pages, codes, filters, health, languages
from billing.ways_back import without_pan

handler400 = "billing.errors.bad_request"
handler403 = "billing.errors.permission_denied"
handler404 = "billing.errors.not_found"
handler429 = "billing.errors.too_many_requests"  # allauth's own
handler500 = "billing.errors.server_error"


def _each(pattern: URLPattern | URLResolver, *decorators: Callable[..., Any]) -> URLPattern | URLResolver:
    """The same addresses, with each of their views decorated."""
    if isinstance(pattern, URLResolver):
        for each in pattern.url_patterns:
            _each(each, *decorators)
        return pattern
    for decorator in decorators:
        pattern.callback = decorator(pattern.callback)
    return pattern


urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.live, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("health/retention", health.retention, name="health_retention"),
]

if {"web", "admin"} & set(settings.SURFACES):
    accounts: list[URLPattern | URLResolver] = [
        path("", account_pages.start, name="account_start"),
        # In front of allauth's own, which they call.
        path("email/", account_pages.change_addresses, name="account_email"),
        path("confirm-email/", codes.confirm_address, name="account_email_verification_sent"),
        path("password/reset/confirm/", codes.confirm_reset, name="account_confirm_password_reset_code"),
        path("password/reset/complete/", codes.complete_reset, name="account_complete_password_reset"),
        path("", include("allauth.urls")),
    ]
    urlpatterns.append(_each(path("accounts/", include(accounts)), without_pan, never_cache))
    urlpatterns.append(path("language/", languages.choose, name="set_language"))

if "web" in settings.SURFACES:
    urlpatterns.append(path("", include("orders.urls")))
elif "admin" in settings.SURFACES:
    # Where people land who sign in without having asked for a page.
    start = path("", RedirectView.as_view(pattern_name="admin:index"), name="overview")
    urlpatterns.append(path("", include(([start], "orders"))))

if "api" in settings.SURFACES:
    urlpatterns += [
        path("api/v1/", include(("orders.api.urls", "orders"), namespace="api_orders")),
        path("api/v1/", include(("vault.api.urls", "vault"), namespace="api_vault")),
        path("api/schema/", SpectacularJSONAPIView.as_view(), name="schema"),
        path("api/docs/", api_pages.DocumentationView.as_view(), name="api_docs"),
        path("api/problems/", api_pages.ProblemListView.as_view(), name="problems"),
        # Without a slash, as the `type` of a problem has it.
        path("api/problems/<str:code>", api_pages.ProblemView.as_view(), name="problem"),
    ]

if "admin" in settings.SURFACES:
    # Through allauth's sign-in, with its rate limits and second factor, and not past it.
    admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
    # Where guesses at the current password are counted; the admin's own page would take any number.
    change = RedirectView.as_view(pattern_name="account_change_password")
    urlpatterns.append(_each(path("admin/password_change/", change), never_cache))
    filters.add_to(admin.site)
    # No cache and no Back button keeps a page: allauth and the admin say so of some only.
    urlpatterns.append(_each(path("admin/", admin.site.urls), never_cache))
