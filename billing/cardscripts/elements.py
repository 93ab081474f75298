"""What on a page can run, as a browser reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

# They load pages or programs of their own, or turn the addresses of others.
_FOREIGN: Final = frozenset({"applet", "base", "embed", "frame", "iframe", "object", "portal"})
# Blocks that a browser reads and does not run.
_DATA: Final = frozenset({"application/json", "application/ld+json"})
_ADDRESSES: Final = frozenset({"action", "formaction", "href", "src", "xlink:href"})
# Where a browser may see the beginning of a script, whatever stands around it.
_SCRIPT: Final = re.compile(r"<script(?=[\s/>\0])", re.IGNORECASE)
_LOADING: Final = frozenset({"modulepreload", "preload", "prefetch"})


@dataclass(frozen=True, slots=True)
class LoadedScript:
    """A script element with an address."""

    address: str
    integrity: str


@dataclass(slots=True)
class Runnable:
    """The scripts that a page loads, and what else on it could run, by the name of element or attribute."""

    scripts: list[LoadedScript] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def runnable(html: str) -> Runnable:
    """Everything on a page that could run.

    Browsers and Python do not agree where a comment, a text or an attribute ends, and who changes a page may know how.
    So what stands in a comment counts as if it ran, and a script that is not an element here counts as hidden.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    hidden = len(_SCRIPT.findall(html)) - reader.seen
    reader.found.inline.extend(["hidden script"] * hidden)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Runnable()
        #: How many script elements there were, data included.
        self.seen = 0

    def handle_comment(self, data: str) -> None:
        # Of "<!-->" and of "--!>" a browser goes on behind it.
        self._read_on(data)

    def unknown_decl(self, data: str) -> None:
        # "<![CDATA[" is to a browser a comment up to the next ">".
        self._read_on(data)

    def _read_on(self, data: str) -> None:
        inner = _Reader()
        inner.found = self.found
        inner.feed(data)
        inner.close()
        self.seen += inner.seen

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        # A browser takes the first of two attributes with the same name; a dict the last.
        for name, value in reversed(attrs):
            values[name] = value or ""
        if tag == "script":
            self.seen += 1
            self._script(values)
        elif tag in _FOREIGN or (tag == "link" and _LOADING.intersection(values.get("rel", "").lower().split())):
            self.found.foreign.append(tag)
        for name, value in values.items():
            # Browsers skip white space and control characters there.
            written = "".join(character for character in value if character > " ").lower()
            is_program = name in _ADDRESSES and written.startswith(("javascript:", "data:text/html"))
            if name.startswith("on") or name == "srcdoc" or is_program:
                self.found.handlers.append(f"{tag} {name}")

    def _script(self, values: dict[str, str]) -> None:
        if "src" in values:
            self.found.scripts.append(LoadedScript(values["src"], values.get("integrity", "")))
        elif values.get("type", "").strip().lower() not in _DATA:
            self.found.inline.append("script")
