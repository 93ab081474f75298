"""Own pages in the frame of the admin, and how a refusal looks there."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import capfirst

from vault.answers import answer_to
from vault.exceptions import VaultError
from vault.sentences import sentence_of

#: On pages that have a card number: Django loads the script of the sidebar without its integrity (PCI DSS 6.4.3).
WITHOUT_SIDEBAR: Final[dict[str, Any]] = {"is_nav_sidebar_enabled": False}


def page(
    admin: ModelAdmin[Any],
    request: HttpRequest,
    template: str,
    *,
    title: Any,
    refused: VaultError | None = None,
    **context: Any,
) -> HttpResponse:
    """A page in the frame of the admin. With `refused` it says why, and has the status of that.

    `refusal` in the context is another sentence for that, or one where nothing was refused.
    """
    frame = {**admin.admin_site.each_context(request), "opts": admin.opts, "title": capfirst(title)}
    return render(
        request,
        template,
        {**frame, "refusal": sentence_of(refused) if refused else "", **context},
        status=answer_to(refused)[0] if refused else HTTPStatus.OK,
    )
