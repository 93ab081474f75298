"""A model field that takes card numbers and stores tokens.

`PANField` is to the vault what `FileField` is to a storage: the column holds the token, `pre_save` commits the number
to the vault, and what is read back is a `StoredCard`, never digits. docs/pan-field.md says what each ORM call does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from django.core import checks
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models
from django.db.models import signals
from django.db.models.expressions import Case, Col, Expression, Value
from django.db.models.functions import Cast
from django.db.models.query_utils import DeferredAttribute
from django.utils.text import capfirst
from django.utils.translation import gettext

from vault import services
from vault.acceptance import accept
from vault.checks import (
    E_BLANK_WITHOUT_NULL,
    E_COPY_FIELD,
    E_OPTION,
    W_QUERYSET,
    about,
)
from vault.exceptions import InvalidPAN, NotTokenized, PANProblem
from vault.forms import PANFormField
from vault.lookups import PANExact, PANIn, PANIsNull
from vault.models import Card
from vault.pan import PAN, Brand, mask
from vault.policy import Actor
from vault.purposes import Purpose
from vault.tokens import LENGTH, Token

__all__ = ["PANField", "PANQuerySet", "StoredCard"]

_EMPTY: Final = (None, "")


class StoredCard:
    """A card that is kept in the vault, as a model instance shows it. Reading it opens nothing.

    Brand and last four come from the instance's own columns or, where there are none, from one SQL query.
    """

    __slots__ = ("_brand", "_last4", "token")

    def __init__(self, token: Token, *, brand: str | None = None, last4: str | None = None) -> None:
        self.token = token
        self._brand = brand
        self._last4 = last4

    @classmethod
    def of(cls, card: Card) -> StoredCard:
        return cls(Token.parse(card.token), brand=card.brand, last4=card.last4)

    @property
    def brand(self) -> Brand:
        if not self._brand:
            self._describe()
        return Brand(self._brand or Brand.UNKNOWN)

    @property
    def last4(self) -> str:
        if not self._last4:
            self._describe()
        return self._last4 or ""

    @property
    def masked(self) -> str:
        return mask(self.last4)

    def detokenize(self, *, actor: Actor | None, purpose: Purpose | str) -> PAN:
        """The card number, by `vault.services.detokenize`: it asks policy, writes audit events, and raises."""
        return services.detokenize(self.token, actor=actor, purpose=purpose)

    def _describe(self) -> None:
        card = services.describe(self.token)
        self._brand, self._last4 = card.brand, card.last4

    def __str__(self) -> str:
        return f"{gettext(self.brand.label)} {self.masked}"

    def __repr__(self) -> str:
        return f"<StoredCard {self.token}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredCard) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)


class _ColumnText(str):
    """A token as the database gave it, told apart from text that somebody assigned: it needs no looking up."""

    __slots__ = ()


class PANDescriptor(DeferredAttribute):
    """The attribute on the instance: takes numbers, tokens and cards, gives a `PAN` until saved and a card after."""

    field: PANField

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = super().__get__(instance, cls)
        if isinstance(value, str):
            value = instance.__dict__[self.field.attname] = self.field.stored_card(instance, value)
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        value = instance.__dict__[self.field.attname] = self.field.to_attribute(value)
        if not isinstance(value, str):
            self.field.copy_to(instance, value)


class PANField(models.Field):  # type: ignore[type-arg]
    """Stores the token of a card number, and brand and last four in fields beside it.

    :param brand_field: name of a CharField of the same model that keeps the brand
    :param last4_field: name of a CharField of the same model that keeps the last four digits

    Accepts a `PAN`, a card number as text, a `Token`, a `StoredCard` or a `Card`. A write that would put digits into
    SQL raises `NotTokenized`, `InvalidToken` or `FieldError`; a lookup other than exact, in and isnull `FieldError`.
    """

    descriptor_class = PANDescriptor
    empty_strings_allowed = False

    def __init__(
        self, *args: Any, brand_field: str | None = None, last4_field: str | None = None, **options: Any
    ) -> None:
        self.brand_field = brand_field
        self.last4_field = last4_field
        self._refused = sorted({"choices", "default", "db_default", "primary_key", "max_length"} & options.keys())
        options["max_length"] = LENGTH
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, options = super().deconstruct()
        del options["max_length"]
        if self.brand_field:
            options["brand_field"] = self.brand_field
        if self.last4_field:
            options["last4_field"] = self.last4_field
        return name, path, args, options

    def get_internal_type(self) -> str:
        return "CharField"

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        if not cls._meta.abstract:
            signals.post_init.connect(self._after_init, sender=cls)
            signals.pre_save.connect(self._before_save, sender=cls)

    # --- On the instance ---------------------------------------------------------------------------------------

    def to_attribute(self, value: Any) -> Any:
        """What an assigned value becomes: None, a `PAN`, a `StoredCard`, or the column's own text.

        Raises `InvalidPAN` for what is neither a card number nor a card, `TokenNotFound` for a token of no card.
        """
        if value in _EMPTY:
            return None
        if isinstance(value, _ColumnText | PAN | StoredCard):
            return value
        if isinstance(value, Card):
            return StoredCard.of(value)
        if isinstance(value, Token) or Token.is_token(value):
            return StoredCard.of(services.describe(value))
        if isinstance(value, str):
            return accept(value)
        raise InvalidPAN(PANProblem.CHARACTERS)

    def stored_card(self, instance: models.Model, text: str) -> StoredCard:
        """The card of a token from the column, with what the columns beside it say, if they were loaded."""
        known = instance.__dict__
        return StoredCard(
            Token.parse(text), brand=known.get(self.brand_field or ""), last4=known.get(self.last4_field or "")
        )

    def copy_to(self, instance: models.Model, value: PAN | StoredCard | None) -> None:
        """Keep brand and last four of an assigned card beside it, as ImageField does with width and height."""
        if self.brand_field:
            setattr(instance, self.brand_field, value.brand.value if value else "")
        if self.last4_field:
            setattr(instance, self.last4_field, value.last4 if value else "")

    def _after_init(self, instance: models.Model, **_: Any) -> None:
        """The fields beside this one may have been set to their defaults after it."""
        value = instance.__dict__.get(self.attname)
        if isinstance(value, PAN | StoredCard):
            self.copy_to(instance, value)

    def _before_save(self, instance: models.Model, update_fields: frozenset[str] | None, **_: Any) -> None:
        """A new number saved without the fields beside it would leave the brand of another card there.

        `update_or_create` names every field that has a `pre_save`, so a card that did not change may be named alone.
        """
        is_new = isinstance(instance.__dict__.get(self.attname), PAN)
        if is_new and update_fields is not None and self.name in update_fields and not self._copies() <= update_fields:
            raise FieldError("update_fields must name the brand and last4 fields together with the card.")

    def _copies(self) -> set[str]:
        return {name for name in (self.brand_field, self.last4_field) if name}

    # --- To the database ---------------------------------------------------------------------------------------

    def pre_save(self, model_instance: models.Model, add: bool) -> str | None:
        """Commit a card number to the vault; the column gets its token."""
        value = getattr(model_instance, self.attname)
        if isinstance(value, PAN):
            value = StoredCard.of(services.tokenize(value, is_external=False).card)
            setattr(model_instance, self.attname, value)
        return value.token.text if value else None

    def get_prep_value(self, value: Any) -> str | None:
        """The token as text. Raises `NotTokenized` for a card number, `InvalidToken` for other text."""
        if value in _EMPTY:
            return None
        if isinstance(value, PAN):
            raise NotTokenized
        if isinstance(value, StoredCard):
            return value.token.text
        return Token.parse(value.token if isinstance(value, Card) else value).text

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        """The backstop of every write: an expression must be made of tokens, everything else is one."""
        if hasattr(value, "as_sql"):
            _require_tokens(value)
            return value
        return self.get_prep_value(value)

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        """Django asks this of every value that it writes, and it is the only question it asks of an expression."""
        if hasattr(value, "as_sql"):
            _require_tokens(value)
        return "%s"

    # --- From the database -------------------------------------------------------------------------------------

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        """The token as text. Raises `InvalidToken` for anything else that was put into the column."""
        return _ColumnText(Token.parse(value)) if value else None

    def to_python(self, value: Any) -> Any:
        """As assigned, but that a token from a fixture is believed: its card may not have been loaded yet."""
        return _ColumnText(value) if Token.is_token(value) else self.to_attribute(value)

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""

    # --- Queries -----------------------------------------------------------------------------------------------

    def get_lookup(self, lookup_name: str) -> Any:
        # A lookup that is not ours would put its raw value into the SQL, and startswith would ask for digits.
        lookup = _LOOKUPS.get(lookup_name)
        return lookup or _refuse_lookup()

    def get_transform(self, lookup_name: str) -> Any:
        _refuse_lookup()

    # --- Forms and checks --------------------------------------------------------------------------------------

    def formfield(self, **options: Any) -> Any:
        # The widget and its attributes are the form field's own: none may show the value again.
        allowed = {key: value for key, value in options.items() if key in {"label", "required", "help_text"}}
        defaults = {"label": capfirst(self.verbose_name), "required": not self.blank, "help_text": self.help_text}
        return PANFormField(**(defaults | allowed))

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        """An empty field of a form that edits a stored card leaves the card as it is."""
        if data is not None:
            setattr(instance, self.name, data)

    def check(self, **options: Any) -> list[checks.CheckMessage]:
        found = [*super().check(**options)]
        found += [about(E_OPTION, self, name) for name in self._refused]
        found += [about(E_COPY_FIELD, self, name) for name in sorted(self._copies()) if not self._is_char_field(name)]
        if self.blank and not self.null:
            found.append(about(E_BLANK_WITHOUT_NULL, self))
        if not isinstance(self.model._default_manager.get_queryset(), PANQuerySet):  # noqa: SLF001 - documented API
            found.append(about(W_QUERYSET, self))
        return found

    def _is_char_field(self, name: str) -> bool:
        try:
            return isinstance(self.model._meta.get_field(name), models.CharField)
        except FieldDoesNotExist:
            return False


_LOOKUPS: Final[dict[str, Any]] = {"exact": PANExact, "in": PANIn, "isnull": PANIsNull}


def _refuse_lookup() -> NoReturn:
    raise FieldError("A card can be looked up by exact, in and isnull only.")


def _require_tokens(expression: Any) -> None:
    """Raise `FieldError` unless every value that `expression` can give is a token from a column or a parameter."""
    match expression:
        case Case():
            results = [*(case.result for case in expression.cases), expression.default]
        case Cast():
            results = expression.get_source_expressions()
        case Col() if isinstance(expression.target, PANField):
            return
        case Value() if expression.value is None or Token.is_token(getattr(expression.value, "text", expression.value)):
            return
        case Value() if isinstance(expression.value, StoredCard):
            return
        case Value() if isinstance(expression.value, PAN):
            raise NotTokenized
        case _:
            raise FieldError("A card column takes tokens only.")
    for result in results:
        _require_tokens(result)


class PANQuerySet(models.QuerySet[Any]):
    """Swaps the card numbers of a bulk write for tokens in one call of the vault, before Django sees them.

    Without it `bulk_create` asks the vault once for each row, and `bulk_update` and `update` refuse card numbers.
    """

    def bulk_create(self, objs: Iterable[Any], *args: Any, **options: Any) -> list[Any]:
        objs = list(objs)
        for field in self._pan_fields():
            _tokenize_attributes(field, objs)
        return super().bulk_create(objs, *args, **options)

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def bulk_update(self, objs: Iterable[Any], fields: Iterable[str], *args: Any, **options: Any) -> int:
        objs, names = list(objs), list(fields)
        for field in self._pan_fields():
            if field.name in names:
                _tokenize_attributes(field, objs)
                names += sorted(field._copies() - set(names))  # noqa: SLF001 - one class in two parts
        return super().bulk_update(objs, names, *args, **options)

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def update(self, **values: Any) -> int:
        for field in self._pan_fields():
            if field.name in values and not isinstance(values[field.name], Expression | models.F):
                values |= _column_values(field, values[field.name])
        return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def update_or_create(self, defaults: Any = None, create_defaults: Any = None, **lookup: Any) -> tuple[Any, bool]:
        # A row that is found is saved with the fields in `defaults` alone: brand and last4 have to be among them.
        for field in self._pan_fields():
            value = (defaults or {}).get(field.name)
            if value is not None and not callable(value):
                defaults = {**defaults, **_column_values(field, value)}
        return super().update_or_create(defaults, create_defaults, **lookup)

    update_or_create.alters_data = True  # type: ignore[attr-defined]

    def _pan_fields(self) -> list[PANField]:
        return [field for field in self.model._meta.concrete_fields if isinstance(field, PANField)]


def _tokenize_attributes(field: PANField, objs: list[Any]) -> None:
    pending = [obj for obj in objs if isinstance(obj.__dict__.get(field.attname), PAN)]
    results = (
        services.tokenize_many([getattr(obj, field.attname) for obj in pending], is_external=False) if pending else []
    )
    for obj, result in zip(pending, results, strict=True):
        setattr(obj, field.attname, StoredCard.of(result.card))


def _column_values(field: PANField, value: Any) -> Mapping[str, Any]:
    """What `update()` has to write for a card: its token, and brand and last four beside it."""
    value = field.to_attribute(value)
    if isinstance(value, PAN):
        value = StoredCard.of(services.tokenize(value, is_external=False).card)
    columns: dict[str, Any] = {field.name: value}
    if field.brand_field:
        columns[field.brand_field] = value.brand.value if value else ""
    if field.last4_field:
        columns[field.last4_field] = value.last4 if value else ""
    return columns
