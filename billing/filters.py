"""Filters of the admin's lists under a name: saved, sent to a colleague as a short link, deleted."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_plus

from django import forms
from django.apps import apps
from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.views.main import ORDER_VAR, SEARCH_VAR
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from billing.models import SavedFilter
from vault.redaction import contains_pan

#: Of one person for one list.
MOST: Final = 30
# What belongs to one page of a list, or to how it is shown, and not to what is in it.
_PASSING: Final = ("p", "e", "all", "_facets", "_popup", "_to_field", "_changelist_filters")
_NO_FILTER: Final = _("This is no filter of this list.")
_TAKEN: Final = _("You have a filter of this name for this list. Choose another name.")
_TOO_MANY: Final = _("You have as many filters for this list as one can have. Delete one first.")
_SAVED: Final = _("The filter is saved. It stands above the list.")
_DELETED: Final = _("The filter is deleted.")


class FilterForm(forms.ModelForm):  # type: ignore[type-arg,unused-ignore]  # no parameters when it runs
    """What a filter is called, and who sees it. The filter itself is that of the list."""

    class Meta:
        model = SavedFilter
        fields = ("name", "is_shared")

    def __init__(self, *args: Any, **options: Any) -> None:
        # On a page with other forms.
        super().__init__(*args, **{"auto_id": "filter_%s"} | options)


def visible_to(user: Any) -> QuerySet[SavedFilter]:
    """One's own, and what others share."""
    return SavedFilter.objects.filter(Q(owner=user) | Q(is_shared=True)).select_related("owner")


def add_to(site: AdminSite) -> None:
    """Let the admin answer under `filters/`, in its own namespace: there its sign-in and second factor count."""
    known = site.get_urls

    def get_urls() -> list[Any]:
        wrap = site.admin_view
        own: list[URLPattern] = [
            path("filters/save/", wrap(save_view), name="filter_save"),
            path("filters/<int:pk>/", wrap(open_view), name="filter_open"),
            path("filters/<int:pk>/delete/", wrap(delete_view), name="filter_delete"),
        ]
        return [*own, *known()]

    site.get_urls = get_urls  # type: ignore[method-assign]


@require_safe
def open_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Lead to the list. Whoever may not see the list or the filter is not told that there is one."""
    saved = get_object_or_404(visible_to(request.user), pk=pk)
    admin = _admin_of(saved.model)
    if admin is None or not admin.has_view_permission(request):
        raise Http404
    return HttpResponseRedirect(f"{_list_of(admin)}?{saved.query}")


@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Save what a list is filtered by. What is wrong is said beside the name, which stays."""
    admin = _admin_of(request.POST.get("model", ""))
    if admin is None or not admin.has_view_permission(request):
        raise Http404
    form = FilterForm(request.POST)
    query = ""
    if form.is_valid():
        try:
            query = checked(request.POST.get("query", ""), admin, request)
            _require_room(form.cleaned_data["name"], admin, request.user)
        except ValidationError as error:
            form.add_error("name", error)
    if form.is_valid() and _is_kept(form, owner=request.user, model=admin.opts.label_lower, query=query):
        messages.success(request, _SAVED)
        return HttpResponseRedirect(f"{_list_of(admin)}?{query}")
    frame = {**admin.admin_site.each_context(request), "opts": admin.opts, "title": _("Save this filter")}
    sent = request.POST.get("query", "")[: SavedFilter.QUERY_LENGTH]
    shown = {"form": form, "model": admin.opts.label_lower, "query": "" if _holds_pan(sent) else sent}
    return render(request, "admin/filter_save.html", {**frame, **shown})


@require_POST
def delete_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete one's own; others' are not there."""
    saved = get_object_or_404(SavedFilter, pk=pk, owner=request.user)
    saved.delete()
    messages.success(request, _DELETED)
    admin = _admin_of(saved.model)
    return HttpResponseRedirect(_list_of(admin) if admin else reverse("admin:index"))


def checked(text: str, admin: ModelAdmin[Any], request: HttpRequest) -> str:
    """The query as it is kept: what this list filters, searches and sorts by, and nothing else.

    Raises `ValidationError` for a card number, for what the list does not know, and for very long ones.
    """
    if len(text) > SavedFilter.QUERY_LENGTH or _holds_pan(text):
        raise ValidationError(_NO_FILTER)
    query = QueryDict(text, mutable=True)
    for name in _PASSING:
        query.pop(name, None)
    if not query or not all(_is_known(key, value, admin, request) for key, values in query.lists() for value in values):
        raise ValidationError(_NO_FILTER)
    kept = query.urlencode()
    if len(kept) > SavedFilter.QUERY_LENGTH:
        raise ValidationError(_NO_FILTER)
    return kept


def _is_kept(form: FilterForm, **columns: Any) -> bool:
    """False, and said beside the name, where somebody was faster, or the database takes two names for the same."""
    for name, value in columns.items():
        setattr(form.instance, name, value)
    try:
        with transaction.atomic():
            form.save()
    except IntegrityError:
        form.add_error("name", _TAKEN)
        return False
    return True


def _is_known(key: str, value: str, admin: ModelAdmin[Any], request: HttpRequest) -> bool:
    if key == SEARCH_VAR:
        return bool(admin.get_search_fields(request))
    if key == ORDER_VAR or key in {getattr(each, "parameter_name", None) for each in admin.get_list_filter(request)}:
        return True
    try:
        admin.opts.get_field(key.partition("__")[0])
    except FieldDoesNotExist:
        return False
    return admin.lookup_allowed(key, value, request)


def _holds_pan(text: str) -> bool:
    parts = [part for key, values in QueryDict(text).lists() for part in (key, *values)]
    return any(contains_pan(part) for part in (unquote_plus(text), *parts))


def _require_room(name: str, admin: ModelAdmin[Any], user: Any) -> None:
    mine = SavedFilter.objects.filter(owner=user, model=admin.opts.label_lower).values_list("name", flat=True)
    names = list(mine[: MOST + 1])
    if name in names:
        raise ValidationError(_TAKEN)
    if len(names) >= MOST:
        raise ValidationError(_TOO_MANY)


def _admin_of(label: str) -> ModelAdmin[Any] | None:
    from django.contrib.admin import site

    try:
        return site._registry.get(apps.get_model(label))  # noqa: SLF001 - `get_model_admin` raises instead
    except (LookupError, ValueError):
        return None


def _list_of(admin: ModelAdmin[Any]) -> str:
    return reverse(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_changelist")
