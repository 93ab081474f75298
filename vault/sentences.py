"""What a refusal says to people, in their language. Whatever programs compare or logs keep stays `error.message`."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext, gettext_noop

from vault.exceptions import AccessDenied, VaultError

#: The states whose sentence is their docstring, where `xgettext` does not look. A test compares them with the classes.
STATES: Final = (
    gettext_noop("The vault refused."),
    gettext_noop("The text is not a card token."),
    gettext_noop("The output file is not the one that this export began in."),
    gettext_noop("Another process writes this export now."),
    gettext_noop("The output file cannot be written."),
    gettext_noop("No card is stored under this token."),
    gettext_noop("The card is no longer on file."),
    gettext_noop("The card is under legal hold and cannot be erased."),
    gettext_noop("The card is needed again and was not erased."),
    gettext_noop("Items are still under this key. Run vault_reencrypt until none is left."),
    gettext_noop("Some processes may still work with the list of keys as it was before. Wait a little and try again."),
    gettext_noop("A card number cannot be written this way: assign it and call save(), or use a PANQuerySet."),
    gettext_noop("A request to AWS carried something other than a sealed card record and was stopped before it left."),
    gettext_noop("The vault cannot be opened: a key or table is missing, disabled or not permitted."),
    gettext_noop("The vault did not answer in time. Try again."),
    gettext_noop("The scan could not go on: a database, or a file that it was to read, did not answer."),
    gettext_noop(
        "Another scan of the same kind is running, or one was killed elsewhere within ten minutes. Wait, or --restart."
    ),
    gettext_noop("Another process began this scan anew, so that this one stopped."),
    gettext_noop("The audit log could not be written, so the operation was refused."),
)


def sentence_of(error: VaultError) -> str:
    """Why the vault refused, as a constant sentence in the language of whoever reads it."""
    return gettext(error.reason.message if isinstance(error, AccessDenied) else error.message)
