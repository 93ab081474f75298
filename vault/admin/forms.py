"""What is typed into the vault's own pages of the admin. A card number is wanted in one field of one form alone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from vault import policy
from vault.conf import vault_config
from vault.forms import NoPANEcho, PANFormField
from vault.policy import Actor
from vault.purposes import TEXT_LENGTH, Purpose
from vault.reveals import TICKET_LENGTH
from vault.validators import validate_no_pan


class _Form(forms.Form):
    # Said here as well as in settings.FORM_RENDERER, which a project may have of its own.
    bound_field_class = NoPANEcho
    required_css_class = "required"


class RevealForm(_Form):
    """What a card number is to be seen for."""

    purpose = forms.ChoiceField(label=_("Purpose"))
    reason = forms.CharField(
        label=_("Reason"),
        max_length=TEXT_LENGTH,
        validators=[validate_no_pan],
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        help_text=_("In a few words. Whoever decides reads it, and it stays in the audit log."),
    )
    ticket = forms.CharField(label=_("Ticket"), max_length=TICKET_LENGTH, validators=[validate_no_pan])

    def __init__(self, *args: Any, actor: Actor, **options: Any) -> None:
        super().__init__(*args, **options)
        names = [rule.name for rule in policy.nameable(actor, vault_config())]
        choices = [("", "---------"), *((name, name.replace("-", " ").capitalize()) for name in names)]
        purpose = self.fields["purpose"]
        assert isinstance(purpose, forms.ChoiceField)  # noqa: S101 - for the type checker
        purpose.choices = choices

    def asked(self) -> dict[str, Any]:
        """Purpose and ticket, as `vault.reveals` takes them."""
        data = self.cleaned_data
        return {"purpose": Purpose(data["purpose"], data["reason"]), "ticket": data["ticket"]}


class ReasonForm(_Form):
    """Why something is done to a card. Several stand on one page, so each has ids of its own."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=TEXT_LENGTH,
        validators=[validate_no_pan],
        error_messages={"required": _("Say why, in a few words.")},
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
    )

    def __init__(self, *args: Any, act: str, help_text: Any = "", **options: Any) -> None:
        super().__init__(*args, **({"auto_id": f"id_{act}_%s"} | options))
        self.fields["reason"].help_text = help_text


class DecisionForm(_Form):
    """What somebody has to say about a request."""

    note = forms.CharField(
        label=_("Note"),
        max_length=TEXT_LENGTH,
        validators=[validate_no_pan],
        error_messages={"required": _("Say why, in a few words.")},
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
    )
    # The browser must not ask for what an approval may leave out.
    use_required_attribute = False

    def __init__(self, *args: Any, needs_note: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["note"].required = needs_note


class CardSearchForm(_Form):
    """A card number, to find the card that it is on."""

    number = PANFormField(label=_("Card number"))
