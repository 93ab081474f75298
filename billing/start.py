"""What a server looks at before it answers: nobody runs the checks of Django for it."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Final

from django.core.checks import ERROR, Tags, run_checks
from django.core.exceptions import ImproperlyConfigured

from billing.settings.environment import Incomplete

REFUSED: Final = "This must not be where real cards are, and no server starts with it:"

# Warnings, because the settings work, and nothing to start with: card data or its keys would go out in clear.
_NEVER: Final = frozenset({"vault.W201", "vault.W202", "vault.W203", "billing.W004", "billing.W005"})


def refuse_unsafe() -> None:
    """Raises `ImproperlyConfigured` for what `check --deploy` calls an error, silenced or not, and for a few warnings.

    Looks at settings and at this process alone: a server starts, and says what is wrong, while its database is away.
    """
    # There are no models while this module is imported.
    from billing.checks import has_real_cards

    if not has_real_cards():
        return
    found = run_checks(tags=[Tags.security], include_deployment_checks=True)
    if never := [each for each in found if each.level >= ERROR or each.id in _NEVER]:
        raise ImproperlyConfigured("\n".join([REFUSED, *(f"{each.id}: {each.msg}" for each in never)]))


def refuse_incomplete() -> None:
    """Ends this process with 1 and one message if settings are missing or impossible.

    Looks at them in a process of its own: workers read them anew, after what `post_fork` sets for them.
    """
    if (child := os.fork()) == 0:
        os._exit(_say_what_is_missing())
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1:
        sys.exit(1)


def _say_what_is_missing() -> int:
    try:
        import_module(os.environ.get("DJANGO_SETTINGS_MODULE", "billing.settings.production"))
    except Incomplete as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        return 1
    except BaseException:  # noqa: BLE001 - a worker will say it
        return 0
    return 0
