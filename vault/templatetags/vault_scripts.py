"""`{% load vault_scripts %}{% script "vault/once.js" %}`"""

from __future__ import annotations

from typing import Final

from django import template
from django.templatetags.static import static
from django.utils.safestring import SafeString

from vault.integrity import script_element

register: Final = template.Library()


@register.simple_tag
def script(path: str, *, is_deferred: bool = True) -> SafeString:
    """A static script with its integrity, which runs when the page was read."""
    return script_element(static(path), path, **({"defer": True} if is_deferred else {}))
