"""What the switch of languages needs to know of the page that it stands on."""

from __future__ import annotations

from typing import Final

from django import template

from vault.redaction import contains_pan

register: Final = template.Library()


@register.simple_tag(takes_context=True)
def way_back(context: template.RequestContext) -> str:
    """The address of this page, which its HTML then holds; the start page if a card number stands in it."""
    address: str = context["request"].get_full_path() if "request" in context else "/"
    return "/" if contains_pan(address) else address
