"""What is typed into the vault's own pages of the admin. A card number is wanted in one field of one form alone."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext, gettext_lazy as _

from vault import policy
from vault.conf import vault_config
from vault.envelopes import RecipientKey
from vault.exceptions import InvalidRecipientKey, InvalidToken, KeyProblem
from vault.exports import RECIPIENT_LENGTH
from vault.forms import NoPANEcho, PANFormField
from vault.models import ExportRequest
from vault.policy import Actor
from vault.purposes import TEXT_LENGTH, Purpose
from vault.reveals import TICKET_LENGTH
from vault.sentences import sentence_of
from vault.tokens import Token
from vault.validators import validate_no_pan

_KEY_FILE_BYTES: Final = 10_000


class _Form(forms.Form):
    # Said here as well as in settings.FORM_RENDERER, which a project may have of its own.
    bound_field_class = NoPANEcho
    required_css_class = "required"


class _PurposeForm(_Form):
    """What for, why, and where it is written down."""

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
        choices = [("", "---------"), *((name, gettext(name.replace("-", " ").capitalize())) for name in names)]
        purpose = self.fields["purpose"]
        assert isinstance(purpose, forms.ChoiceField)  # noqa: S101 - for the type checker
        purpose.choices = choices

    def asked(self) -> dict[str, Any]:
        """Purpose and ticket, as `vault.reveals` and `vault.exports` take them."""
        data = self.cleaned_data
        return {"purpose": Purpose(data["purpose"], data["reason"]), "ticket": data["ticket"]}


class RevealForm(_PurposeForm):
    """What a card number is to be seen for."""


class _NeverShownAgain(forms.Textarea):
    """What is pasted here may be a private key by mistake: no page repeats it."""

    def format_value(self, value: Any) -> None:
        return None


class ExportForm(_PurposeForm):
    """Which cards are to be handed to whom. A private key or a card number is refused and not repeated."""

    field_order = ("recipient", "key", "key_file", "purpose", "reason", "ticket", "selection", "tokens")

    recipient = forms.CharField(label=_("Recipient"), max_length=RECIPIENT_LENGTH, validators=[validate_no_pan])
    key = forms.CharField(
        label=_("Public key"),
        required=False,
        validators=[validate_no_pan],
        widget=_NeverShownAgain(attrs={"rows": 6, "cols": 70, "spellcheck": "false"}),
        help_text=_("PEM or JWK: RSA of 3072 bits or more, or EC on P-256 or P-384."),
    )
    key_file = forms.FileField(label=_("or as a file"), required=False)
    selection = forms.ChoiceField(
        label=_("Cards"),
        choices=ExportRequest.Selection.choices,
        widget=forms.RadioSelect,
        initial=ExportRequest.Selection.TOKENS,
    )
    tokens = forms.CharField(
        label=_("Tokens"),
        required=False,
        validators=[validate_no_pan],
        widget=forms.Textarea(attrs={"rows": 4, "cols": 70, "spellcheck": "false"}),
        help_text=_("For chosen cards: one token a line."),
    )

    def clean_key_file(self) -> str:
        """The file as text."""
        file = self.cleaned_data["key_file"]
        if file is None:
            return ""
        if file.size > _KEY_FILE_BYTES:
            raise forms.ValidationError(gettext(KeyProblem.UNREADABLE.message))
        text: str = file.read().decode("ascii", errors="replace")
        validate_no_pan(text)
        return text

    def clean_tokens(self) -> list[Token]:
        """The tokens, each once; a line that is none is named by its number."""
        found: dict[Token, None] = {}
        for number, line in enumerate(self.cleaned_data["tokens"].splitlines(), start=1):
            try:
                found |= {Token(line.strip()): None} if line.strip() else {}
            except InvalidToken:
                raise forms.ValidationError(_("Line %(line)d is no token."), params={"line": number}) from None
        return list(found)

    def clean(self) -> dict[str, Any]:
        """Read the key, and see that what was chosen and what was pasted go together."""
        data = self.cleaned_data
        pasted, uploaded = data.get("key", ""), data.get("key_file", "")
        if "key" in data and "key_file" in data:
            if bool(pasted) == bool(uploaded):
                self.add_error("key", _("Paste the key or choose its file."))
            else:
                try:
                    data["recipient_key"] = RecipientKey.parse(pasted or uploaded)
                except InvalidRecipientKey as error:
                    self.add_error("key" if pasted else "key_file", sentence_of(error))
        if "tokens" in data and "selection" in data:
            has_all = data["selection"] == ExportRequest.Selection.ALL
            if has_all == bool(data["tokens"]):
                self.add_error("tokens", _("Paste tokens for chosen cards, and none for all cards."))
        return data

    def asked(self) -> dict[str, Any]:
        """All of it, as `vault.exports.request` takes it."""
        data = self.cleaned_data
        has_all = data["selection"] == ExportRequest.Selection.ALL
        chosen = {"tokens": None if has_all else data["tokens"]}
        return super().asked() | chosen | {"recipient": data["recipient"], "key": data["recipient_key"]}


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
