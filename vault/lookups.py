"""Finding rows by card: by token or, through the fingerprint, by number. Digits never become part of a query."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldError
from django.db.models.expressions import Col, ResolvedOuterRef
from django.db.models.lookups import Exact, In, IsNull
from django.db.models.sql.query import Query

from vault import services
from vault.pan import PAN
from vault.tokens import Token


def _token_of(value: Any) -> str | None:
    """The token that `value` stands for: itself, a stored card's, or that of a card number that is kept already.

    Resolved when the query is built and not when it runs, so that no query object carries digits. Nothing is written.
    Raises `InvalidPAN` for text that is neither a token nor a card number.
    """
    token = getattr(value, "token", value)
    if isinstance(token, Token) or Token.is_token(token):
        return str(token)
    found = services.find(value if isinstance(value, PAN) else PAN(value))
    return found.text if found else None


def _is_query_part(value: Any) -> bool:
    if not hasattr(value, "resolve_expression") and not hasattr(value, "as_sql"):
        return False
    # Another column or a subquery; a Value() would carry its text into the SQL unlooked at.
    if isinstance(value, Col | Query | ResolvedOuterRef) or hasattr(value, "query"):
        return True
    raise FieldError("A card is compared with a card number, a token, a column or a subquery.")


class PANExact(Exact):
    """`filter(card=…)`"""

    def get_prep_lookup(self) -> Any:
        if _is_query_part(self.rhs):
            return super().get_prep_lookup()
        # A number that is not kept matches no row, as does a token that was never given out.
        return _token_of(self.rhs) or Token.generate().text


class PANIn(In):
    """`filter(card__in=…)`"""

    def get_prep_lookup(self) -> Any:
        if _is_query_part(self.rhs):
            return super().get_prep_lookup()
        return [token for value in self.rhs if (token := _token_of(value))]


class PANIsNull(IsNull):
    """`filter(card__isnull=…)`"""
