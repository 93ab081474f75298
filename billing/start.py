"""What a server looks at before it answers: nobody runs the checks of Django for it."""

from __future__ import annotations

from typing import Final

from django.core.checks import ERROR, Tags, run_checks
from django.core.exceptions import ImproperlyConfigured

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
