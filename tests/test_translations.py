"""German is complete: what the code says is in the catalogs, and no page of a German reader is half English."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client
from django.utils import formats, translation
from django.utils.translation import trans_real

from tests.factories import make_card, make_order, make_user
from tests.test_every_page import PAGES, addresses, scene  # noqa: F401 - a fixture

ROOT = Path(settings.BASE_DIR)
CATALOGS = ("locale/de/LC_MESSAGES/django.po", "vault/locale/de/LC_MESSAGES/django.po")
PACKAGES = ("billing", "orders", "vault")
# What is filled in, and the tags around it.
_HOLES = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|</?\w+")


def catalog(path: str) -> Catalog:
    with (ROOT / path).open("rb") as file:
        return read_po(file, locale="de")


def messages(path: str) -> list[Message]:
    return [message for message in catalog(path) if message.id]


def forms(message: Message) -> list[tuple[str, str]]:
    """Each form of the original with the same of the translation: singular and plural, or the one there is."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    return list(zip(message.id, message.string, strict=True))


def texts(found: Catalog) -> dict[tuple, list[str]]:
    """What each message says, whatever babel makes of its forms."""
    listed = (
        (each.context, *[[text] if isinstance(text, str) else list(text) for text in (each.id, each.string)])
        for each in found
        if each.id
    )
    return {(context, *ids): strings for context, ids, strings in listed}


# --- The catalogs ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("msgmerge") is None, reason="gettext is missing: `make test` installs it")
def test_catalogs_have_what_the_code_says_and_nothing_else(tmp_path):
    for folder in (*PACKAGES, "templates", "locale", "deploy/setup"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "manage.py", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    subprocess.run([tmp_path / "deploy/setup/messages.sh"], check=True)
    for path in CATALOGS:
        assert (tmp_path / path).read_text() == (ROOT / path).read_text(), "run `make messages`, then translate"


@pytest.mark.parametrize("path", CATALOGS)
def test_every_message_is_translated(path):
    unfinished = [each.id for each in messages(path) if each.fuzzy or not all(new for _, new in forms(each))]
    assert unfinished == []
    assert not catalog(path).obsolete


@pytest.mark.parametrize("path", CATALOGS)
def test_a_translation_fills_in_the_same_and_ends_the_same(path):
    for old, new in (pair for message in messages(path) for pair in forms(message)):
        assert sorted(_HOLES.findall(old)) == sorted(_HOLES.findall(new)), old
        assert [text[: len(text) - len(text.lstrip())] for text in (old, old[::-1])] == [
            text[: len(text) - len(text.lstrip())] for text in (new, new[::-1])
        ], old


@pytest.mark.parametrize("path", CATALOGS)
def test_what_is_compiled_is_what_is_written(path):
    with (ROOT / path).with_suffix(".mo").open("rb") as file:
        assert texts(read_mo(file)) == texts(catalog(path))


def test_both_catalogs_say_the_same_in_the_same_words():
    own, vault = (texts(catalog(path)) for path in CATALOGS)
    assert [key for key in own.keys() & vault.keys() if own[key] != vault[key]] == []


# --- What is marked -------------------------------------------------------------------------------------------------

TEMPLATES = sorted(
    path.relative_to(ROOT)
    for folder in ("templates", "vault/templates")
    for kind in ("*.html", "*.txt")
    for path in (ROOT / folder).rglob(kind)
    # The API speaks English, and so do its pages.
    if "api" not in path.parts
)
_COMMENTS = re.compile(r"{%\s*comment.*?endcomment\s*%}|{#.*?#}|<!--.*?-->", re.DOTALL)
_MARKED = re.compile(r"{%\s*blocktrans(?:late)?\b.*?endblocktrans(?:late)?\s*%}", re.DOTALL)
_CODE = re.compile(r"<code>.*?</code>|<(script|style)\b.*?</\1>", re.DOTALL)
_CLASSES = re.compile(r"{% block (?:bodyclass|coltype) %}.*?{% endblock %}")
_TAGS = re.compile(r"{%.*?%}|{{.*?}}", re.DOTALL)
_SPOKEN = re.compile(r'\b(?:aria-label|title|alt|placeholder)="([^"]*)"|>([^<>]*)<')
NOT_TRANSLATED = {
    "Billing": "the name of the product",
    "UTC": "the name of a time zone",
    "API": "the same everywhere",
    "amp": "a sign", "rsaquo": "a sign", "nbsp": "a sign", "middot": "a sign", "times": "a sign",
}  # fmt: skip


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
def test_templates_mark_what_they_say(path):
    text = (ROOT / path).read_text()
    for left_out in (_COMMENTS, _MARKED, _CODE, _CLASSES, _TAGS):
        text = left_out.sub(" ", text)
    said = " ".join(" ".join(pair) for pair in _SPOKEN.findall(f">{text}<"))
    assert [word for word in re.findall(r"[^\W\d_]{2,}", said) if word not in NOT_TRANSLATED] == []


def test_no_message_is_made_where_nobody_finds_it():
    """What stands in the braces of an f-string is not extracted."""
    markers = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}
    hidden = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for text in ast.walk(ast.parse(path.read_text()))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in markers
        if call.args and isinstance(call.args[0], ast.Constant)
    ]
    assert hidden == []


# --- The pages ------------------------------------------------------------------------------------------------------

# None of these is a German word.
_ENGLISH = re.compile(
    r"(?<![\w./_-])(the|and|of|your|with|this|these|are|have|has|from|to|is|by|it|not|no|or|for|you|we|"
    r"orders?|cards?|sign|save|placed|changed?|deleted?|added|select|users?|password|reset|choose|remove|view|add|edit|"
    r"delete|show|back|when|date|time|sent)(?![\w./_-]|:\d)",
    re.IGNORECASE,
)
# What people, programs or the law wrote, and what is there to be copied as it stands.
_DATA_TAGS = {"code", "pre", "script", "style", "textarea", "q"}
# Names of rights and groups are data: commands and rules go by them.
_DATA_FIELDS = {"permissions", "user_permissions", "groups"}
DATA = {
    "Asked for it": "why somebody erased a card",
    "change of provider": "why somebody asked for an export",
    "card 1": "what commands call a key",
}


class _Spoken(HTMLParser):
    """Collects what a page says: texts between tags, and what attributes say to people."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        is_data = (
            tag in _DATA_TAGS
            or has.get("lang", "de") != "de"
            or (tag == "select" and has.get("name") in _DATA_FIELDS)
            or any(is_data for _, is_data in self._open)
        )
        if not is_data:
            self.said += [has[name] for name in ("aria-label", "title", "alt", "placeholder") if has.get(name)]
            if tag == "input" and has.get("type") in {"submit", "button"}:
                self.said.append(has.get("value", ""))
        if tag not in {"meta", "link", "img", "input", "br", "hr", "wbr", "source"}:
            self._open.append((tag, is_data))

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if data.strip() and not any(is_data for _, is_data in self._open):
            self.said.append(" ".join(data.split()))


def spoken(html: str) -> list[str]:
    parser = _Spoken()
    parser.feed(html)
    return parser.said


def left_in_english(html: str) -> Iterator[str]:
    """What has a translation that is not shown, and what has English words in it."""
    known = trans_real.translation("de")._catalog
    for text in spoken(html):
        has_other = text in known and known[text] not in ("", text)
        own = re.sub("|".join(map(re.escape, DATA)), "", text)
        if has_other or _ENGLISH.search(own):
            yield text


@pytest.mark.either
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("audience", PAGES)
def test_pages_in_german_are_german(scene, audience):  # noqa: F811 - the fixture
    client = Client(headers={"Accept-Language": "de"})
    if audience != "nobody":
        client.force_login(getattr(scene, audience), backend=settings.AUTHENTICATION_BACKENDS[0])
    found: list[str] = []
    for address in addresses(scene, audience):
        if not address.startswith("/api/"):
            found += [f"{address}: {text}" for text in dict.fromkeys(left_in_english(client.get(address).text))]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


# --- Money and dates ------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_money_and_dates_are_as_germans_write_them(canary):
    customer = make_user("carla")
    order = make_order(
        customer, make_card(canary("order")), amount="1849.00", placed_at=datetime(2026, 3, 1, 9, 5, tzinfo=UTC)
    )
    client = Client(headers={"Accept-Language": "de"})
    client.force_login(customer, backend=settings.AUTHENTICATION_BACKENDS[0])
    page = client.get(f"/orders/{order.public_id}/").text
    assert "1.849,00\N{NO-BREAK SPACE}€" in page
    assert "1. März 2026" in page


def test_formats_are_those_of_the_language():
    with translation.override("de"):
        assert formats.date_format(date(2026, 3, 1), "SHORT_DATE_FORMAT") == "01.03.2026"
    with translation.override("en"):
        assert formats.date_format(date(2026, 3, 1), "SHORT_DATE_FORMAT") == "03/01/2026"
