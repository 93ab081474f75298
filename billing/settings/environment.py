"""The environment as settings read it: what is missing or impossible is collected, and said at once by `complete`.

Variables are named and their values never repeated: most of them are secrets, or addresses that hold one.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import environ
from django.core.exceptions import ImproperlyConfigured

UNREADABLE: Final = "its _FILE cannot be read"
NOT_A_FLAG: Final = "must be true or false"
NOT_SECONDS: Final = "must be a number of seconds above 0"
NOT_A_MAPPING: Final = "must be an object in JSON"
NO_FILE: Final = "must be the path of a file that can be read"
NO_DATABASE: Final = "must be mysql://USER@HOST:3306/NAME or sqlite:////PATH"
NO_MAIL_SERVER: Final = "must be smtp+tls://USER@HOST:587 or smtp+ssl://USER@HOST:465"
TWO_PASSWORDS: Final = "is given, and the address has a password of its own"
HEADING: Final = "These settings are missing or impossible; docs/settings.md explains each:"
ENDING: Final = "Each may be in a file as well, which NAME_FILE then names."
#: A terminal has 24 lines.
_MOST_LINES: Final = 19

_FLAGS: Final = dict.fromkeys(("true", "on", "ok", "y", "yes", "1"), True) | dict.fromkeys(
    ("false", "off", "n", "no", "0"), False
)
# Those that the rest of the settings knows how to make safe.
_ENGINES: Final = frozenset({"django.db.backends.mysql", "django.db.backends.sqlite3"})
_SMTP: Final = "django.core.mail.backends.smtp.EmailBackend"
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Incomplete(ImproperlyConfigured):
    """Settings that are missing or impossible, one a line."""


class Environment:
    """Reads variables. Each method gives the default, or something of the same type, for what it cannot read."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def refuse(self, name: str, problem: str) -> None:
        """Let `complete` say this of a variable; what was said of it first stands."""
        self.problems.setdefault(name, problem)

    def complete(self) -> None:
        """Raises `Incomplete` for all that was read until now; the last line of every settings module."""
        if not self.problems:
            return
        lines = [f"{name}: {problem}" for name, problem in self.problems.items()]
        # What has to be given comes before what has to be corrected.
        lines.sort(key=lambda line: ": missing; " not in line)
        if more := lines[_MOST_LINES:]:
            lines[_MOST_LINES:] = [f"... and {len(more)} more"]
        raise Incomplete("\n".join([HEADING, *lines, ENDING]))

    def text(self, name: str, *, default: str = "", exact: bool = False) -> str:
        """A value as it is: one that begins with `$` is no other variable's name.

        Editors end a file with the end of a line, which is not part of the value unless `exact`.
        """
        given = self._given(name, exact=exact)
        return default if given is None else given

    def needed(self, name: str, missing: str, *, exact: bool = False) -> str:
        """A value that must be there; `missing` says what it is, with an example."""
        if not (given := self._given(name, exact=exact)):
            self.refuse(name, f"missing; {missing}")
        return given or ""

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false. A word that is neither does not switch anything off."""
        given = self._given(name)
        if given is None:
            return default
        if (known := _FLAGS.get(given.strip().lower())) is None:
            self.refuse(name, NOT_A_FLAG)
            return default
        return known

    def number(self, name: str, *, default: int, least: int = 1, most: int = 10**9) -> int:
        """A whole number."""
        given = self._given(name)
        if given is None:
            return default
        if not re.fullmatch("[0-9]{1,10}", given.strip()) or not least <= int(given) <= most:
            self.refuse(name, not_a_number(least, most))
            return default
        return int(given)

    def seconds(self, name: str, *, default: float) -> float:
        """A time that may be a fraction."""
        given = self._given(name)
        if given is None:
            return default
        try:
            found = float(given)
        except ValueError:
            found = 0.0
        if not (math.isfinite(found) and found > 0):
            self.refuse(name, NOT_SECONDS)
            return default
        return found

    def words(self, name: str, *, default: Sequence[str] = ()) -> list[str]:
        """What stands between commas."""
        given = self._given(name)
        return list(default) if given is None else [word for each in given.split(",") if (word := each.strip())]

    def choice(self, name: str, *, default: str, among: Collection[str]) -> str:
        """One of these."""
        given = self._given(name)
        if given is None or given in among:
            return default if given is None else given
        self.refuse(name, f"must be one of {', '.join(sorted(among))}")
        return default

    def choices(self, name: str, *, default: Sequence[str], among: Collection[str]) -> list[str]:
        """One or more of these."""
        found = self.words(name, default=default)
        if found and set(found) <= set(among):
            return found
        self.refuse(name, f"must be some of {', '.join(sorted(among))}")
        return list(default)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object in JSON; empty by default."""
        if not (given := self._given(name)):
            return {}
        try:
            found = json.loads(given)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.refuse(name, NOT_A_MAPPING)
            return {}
        return found

    def file(self, name: str, missing: str) -> str:
        """The path of a file that must be there."""
        path = self.needed(name, missing)
        if path and not (Path(path).is_file() and os.access(path, os.R_OK)):
            self.refuse(name, NO_FILE)
        return path

    def database(self, name: str, password: str, *, default: str = "", missing: str = "") -> dict[str, Any]:
        """What Django connects to, by an address and by a variable that has its password; empty without an address."""
        address = self.needed(name, missing) if missing else self.text(name) or default
        if not address:
            return {}
        try:
            found: dict[str, Any] = environ.Env.db_url_config(address)
        except Exception:  # noqa: BLE001 - what it raises, such as ValueError for a port, repeats a part of the address
            found = {}
        if found.get("ENGINE") not in _ENGINES or not found.get("NAME"):
            self.refuse(name, NO_DATABASE)
            return {}
        return found | {"PASSWORD": self._password(password, found.get("PASSWORD", ""))}

    def mail(self, name: str, password: str, *, missing: str) -> dict[str, Any]:
        """The settings of Django for the server that takes mail: with TLS, or a relay on this machine.

        In mails are codes that set passwords. Django would write them into the log, or nowhere, just as well.
        """
        if not (address := self.needed(name, missing)):
            return {}
        try:
            found: dict[str, Any] = environ.Env.email_url_config(address)
        except Exception:  # noqa: BLE001 - as above
            found = {}
        is_kept = found.get("EMAIL_USE_TLS") or found.get("EMAIL_USE_SSL") or found.get("EMAIL_HOST") in _THIS_MACHINE
        if found.get("EMAIL_BACKEND") != _SMTP or not found["EMAIL_HOST"] or not is_kept:
            self.refuse(name, NO_MAIL_SERVER)
            return {}
        return found | {"EMAIL_HOST_PASSWORD": self._password(password, found["EMAIL_HOST_PASSWORD"] or "") or None}

    def _password(self, name: str, of_address: str) -> str:
        given = self.text(name)
        if given and of_address:
            # Which of the two is old, nobody can tell.
            self.refuse(name, TWO_PASSWORDS)
        return given or of_address

    def _given(self, name: str, *, exact: bool = False) -> str | None:
        if not (path := os.environ.get(f"{name}_FILE")):
            return os.environ.get(name)
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError):
            self.refuse(name, UNREADABLE)
            return None
        return text if exact else text.removesuffix("\n")


def not_a_number(least: int, most: int) -> str:
    return f"must be a whole number from {least} to {most}"


env = Environment()
