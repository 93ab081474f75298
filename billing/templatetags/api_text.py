"""What the description of the API says, as HTML."""

from __future__ import annotations

import re
from typing import Final

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
_CODE: Final = re.compile(r"`([^`]+)`")


@register.filter
def api_text(text: str) -> SafeString:
    """Paragraphs and lists, with what stands between backquotes as code. The rest is escaped, and stays as it is."""
    return mark_safe("".join(_block(each) for each in text.split("\n\n") if each))  # noqa: S308 - escaped below


def _block(text: str) -> str:
    lines = [_CODE.sub(r"<code>\1</code>", conditional_escape(line)) for line in text.splitlines()]
    if all(line.startswith("- ") for line in lines):
        return "<ul>" + "".join(f"<li>{line.removeprefix('- ')}</li>" for line in lines) + "</ul>"
    return f"<p>{' '.join(lines)}</p>"
