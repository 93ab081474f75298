"""A page as it is delivered now, held against the inventory."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from django.conf import settings
from django.urls import Resolver404, resolve

from billing.cardscripts.elements import LoadedScript, runnable
from billing.cardscripts.inventory import CHANGED, CardScript, Drift, Inventory
from vault.integrity import integrity
from vault.redaction import redact

FOREIGN_HOST: Final = "The page loads a script of another host."
UNKNOWN: Final = "The page loads a script that is not in the inventory for it."
UNSEALED: Final = "The script element has no integrity, or not that of the inventory."
UNREACHABLE: Final = "The script cannot be loaded."
ABSENT: Final = "The page does not load a script that the inventory has for it."
INLINE: Final = "There is a script in the page itself."
HANDLER: Final = "There is an attribute that runs."
FOREIGN: Final = "There is an element that loads something else to run."
HEADER: Final = "The header is not the one in the inventory."

_TIMEOUT: Final = urllib3.Timeout(connect=5, read=15)
_LONGEST: Final = 5 * 1024 * 1024
# What whitenoise and Django's manifest put into a name: the beginning of a digest of the content.
_HASHED: Final = re.compile(r"\.[0-9a-f]{12}(?=\.[a-z]+$)")
_SHOWN: Final = 200


class NotExamined(Exception):
    """The page could not be looked at; the message is a constant sentence."""


NO_ADDRESS: Final = "This is not an http or https address of a page that the inventory has."
NO_ANSWER: Final = "The server did not answer."
LEADS_ELSEWHERE: Final = "The page leads elsewhere. Is a sign-in needed? Give the cookies of somebody who may see it."
NOT_SHOWN: Final = "The server did not show the page."
NO_COOKIES: Final = "The file of cookies cannot be read. It has to be in the format of curl and Netscape."


def page_of(url: str, inventory: Inventory) -> str:
    """The name of the page at this address. Raises `NotExamined` if it is none of those in the inventory."""
    try:
        parts = urlsplit(url)
        name = resolve(unquote(parts.path)).view_name
    except (Resolver404, ValueError):
        raise NotExamined(NO_ADDRESS) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or name not in inventory.pages:
        raise NotExamined(NO_ADDRESS)
    return name


class Browser:
    """Asks one server for pages, with the cookies in a file, and follows nowhere."""

    def __init__(self, cookies: str | None = None) -> None:
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=urllib3.Retry(1, redirect=False))
        self._cookies = http.cookiejar.MozillaCookieJar()
        if cookies:
            try:
                self._cookies.load(cookies, ignore_discard=True, ignore_expires=True)
            except (OSError, ValueError):
                # Its message would quote the file.
                raise NotExamined(NO_COOKIES) from None
        for cookie in self._cookies:
            # So curl writes the cookies that end with a session; Python would take them for long over.
            cookie.expires = cookie.expires or None

    def get(self, url: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and content. Raises `NotExamined`."""
        wanted = urllib.request.Request(url)  # noqa: S310 - asks nobody: the jar says what it would send there
        self._cookies.add_cookie_header(wanted)
        sent = {"User-Agent": "card_scripts", "Accept-Encoding": "identity"}
        if cookie := wanted.get_header("Cookie"):
            sent["Cookie"] = cookie
        try:
            answer = self._pool.request("GET", url, headers=sent, redirect=False, preload_content=False)
            try:
                return answer.status, answer.headers, answer.read(_LONGEST)
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError):
            raise NotExamined(NO_ANSWER) from None


def examine(url: str, inventory: Inventory, browser: Browser) -> Iterator[Drift]:
    """What of the page at this address is not as in the inventory. Raises `NotExamined`."""
    page = page_of(url, inventory)
    status, headers, content = browser.get(url)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise NotExamined(LEADS_ELSEWHERE)
    if status != HTTPStatus.OK:
        raise NotExamined(NOT_SHOWN)
    expected = inventory.headers | (inventory.headers_over_https if url.startswith("https:") else {})
    yield from (
        Drift(page, name, HEADER)
        for name, value in expected.items()
        if _directives(headers.get(name, "")) != _directives(value)
    )
    found = runnable(content.decode(errors="replace"))
    yield from (Drift(page, _shown(each), INLINE) for each in found.inline)
    yield from (Drift(page, _shown(each), HANDLER) for each in found.handlers)
    yield from (Drift(page, _shown(each), FOREIGN) for each in found.foreign)
    may_be = {each.path: each for each in inventory.scripts if page in (*each.pages, *each.sometimes)}
    loaded = set()
    for script in found.scripts:
        path = _static_path(url, script)
        loaded.add(path)
        yield from (
            Drift(page, _shown(path or script.address), problem)
            for problem in _problems(url, script, may_be.get(path), browser)
        )
    yield from (
        Drift(page, each.path, ABSENT) for each in may_be.values() if page in each.pages and each.path not in loaded
    )


def _problems(url: str, script: LoadedScript, known: CardScript | None, browser: Browser) -> Iterator[str]:
    address = urljoin(url, script.address)
    if urlsplit(address)[:2] != urlsplit(url)[:2]:
        # It is not asked for: who put it there need not learn that somebody looked.
        yield FOREIGN_HOST
    elif known is None:
        yield UNKNOWN
    else:
        if script.integrity != known.integrity:
            yield UNSEALED
        status, _, content = browser.get(address)
        if status != HTTPStatus.OK:
            yield UNREACHABLE
        elif integrity(content) != known.integrity:
            yield CHANGED


def _directives(header: str) -> set[frozenset[str]]:
    """What a header says: its parts may stand in any order, and so may the sources in a part."""
    return {frozenset(part.split()) for part in header.split(";") if part.strip()}


def _static_path(url: str, script: LoadedScript) -> str:
    """The name of a static file without the digest in it; empty for what is none."""
    address = urlsplit(urljoin(url, script.address))
    root = urlsplit(urljoin(url, settings.STATIC_URL)).path
    if address[:2] != urlsplit(url)[:2] or not address.path.startswith(root):
        return ""
    return _HASHED.sub("", unquote(address.path.removeprefix(root)))


def _shown(text: str) -> str:
    """What a page said, for a terminal: it may have been written by somebody else."""
    return redact("".join(character if character.isprintable() else "?" for character in text))[:_SHOWN]
