"""Turns a column of plain card numbers into a `PANField`, while the application runs. docs/adopt.md is the way.

The rows themselves say what is done: a row whose new column is null is left. So nothing has to be remembered, and a
run that was killed is simply run again. No card number becomes part of an SQL statement or of its parameters: rows are
compared here and written by primary key.
"""

from vault.adoption.columns import AdoptionRefused, Columns
from vault.adoption.operations import NotAdopted, RemoveAdoptedField
from vault.adoption.rows import Finding, Report, State
from vault.adoption.runs import Mode, run

__all__ = [
    "AdoptionRefused",
    "Columns",
    "Finding",
    "Mode",
    "NotAdopted",
    "RemoveAdoptedField",
    "Report",
    "State",
    "run",
]
