"""Subresource integrity (PCI DSS 6.4.3): a browser runs a script if it is the one that this installation has."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.forms.utils import flatatt
from django.forms.widgets import Script
from django.utils.html import format_html
from django.utils.safestring import SafeString

_ALGORITHM: Final = "sha384"


def integrity(content: bytes) -> str:
    """The value of an `integrity` attribute for this content."""
    return f"{_ALGORITHM}-{base64.b64encode(hashlib.new(_ALGORITHM, content).digest()).decode()}"


def integrity_of(path: str) -> str:
    """That of a static file, as it is served; empty if there is no such file."""
    # Names that hold a hash of the content are of collected files, which may differ from those they were made of.
    if isinstance(staticfiles_storage, ManifestFilesMixin) and not settings.DEBUG:
        try:
            return _of_collected(staticfiles_storage.stored_name(path))
        except ValueError:
            # Not collected: a page says so by itself, and a command has the files that would be.
            pass
    found = finders.find(path)
    if found is None:
        return ""
    state = Path(found).stat()
    return _of_file(found, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _of_collected(name: str) -> str:
    with staticfiles_storage.open(name) as file:
        return integrity(file.read())


@lru_cache(maxsize=256)
def _of_file(path: str, changed: int, size: int) -> str:
    return integrity(Path(path).read_bytes())


class IntactScript(Script):
    """A script of a form's media with its integrity."""

    def __str__(self) -> SafeString:
        return script_element(self.path, self._path, **self.attributes)  # type: ignore[attr-defined]  # of MediaAsset


def script_element(address: str, path: str, **attributes: Any) -> SafeString:
    """The element that loads the static file `path` from `address`."""
    value = integrity_of(path)
    return format_html(
        '<script src="{}"{}></script>', address, flatatt(attributes | ({"integrity": value} if value else {}))
    )
