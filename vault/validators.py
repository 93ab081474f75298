"""Validators for text that is not a card number."""

from django.core.exceptions import ValidationError
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext_lazy as _

from vault.redaction import contains_pan


@deconstructible
class NoPANValidator:
    """Refuses text in which a card number stands, wherever one does not belong. The error never quotes it."""

    message = _("This text contains a card number. Card numbers belong in the card field only.")
    code = "contains_pan"

    def __call__(self, value: object) -> None:
        if contains_pan(str(value)):
            raise ValidationError(self.message, code=self.code)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoPANValidator)

    def __hash__(self) -> int:
        return hash(NoPANValidator)


validate_no_pan = NoPANValidator()
