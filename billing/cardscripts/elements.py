"""What on a page can run, as a browser reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

# They load pages or programs of their own, or turn the addresses of others.
_FOREIGN: Final = frozenset({"applet", "base", "embed", "frame", "iframe", "object", "portal"})
# Blocks that a browser reads and does not run.
_DATA: Final = frozenset({"application/json", "application/ld+json"})
_ADDRESSES: Final = frozenset({"action", "formaction", "href", "src", "xlink:href"})
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
    """Everything on a page that could run."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = Runnable()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        # A browser takes the first of two attributes with the same name; a dict the last.
        for name, value in reversed(attrs):
            values[name] = value or ""
        if tag == "script":
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
