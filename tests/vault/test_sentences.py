"""What a refusal says to people is translated; what programs compare, and what is kept, is not."""

import inspect

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import translation

from tests.factories import client_of, make_card, make_user
from tests.vault.admin.visitors import ASKED, card_page, configure, signed_in
from vault import exceptions
from vault.exceptions import (
    AccessDenied,
    CardErased,
    InvalidPAN,
    KeyProblem,
    PANProblem,
    RecordTampered,
    Refusal,
    Tampering,
    VaultError,
)
from vault.forms import PANFormField
from vault.models import AuditEvent, Card
from vault.sentences import STATES, sentence_of

GERMAN = {"Accept-Language": "de"}


def test_every_state_is_there_to_be_translated():
    states = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, VaultError)]
    said = {
        kind.__doc__ for kind in states if kind.message is VaultError.message and not issubclass(kind, AccessDenied)
    }
    assert set(STATES) == said
    assert len(STATES) == len(said)


@pytest.mark.parametrize(
    ("error", "english", "german"),
    [
        (CardErased(), "The card is no longer on file.", "Die Karte ist nicht mehr hinterlegt."),
        (AccessDenied(Refusal.NO_RIGHT), "This right was not granted.", "Dieses Recht wurde nicht erteilt."),
        (InvalidPAN(PANProblem.EMPTY), "Enter a card number.", "Geben Sie eine Kartennummer ein."),
    ],
)
def test_a_refusal_is_said_in_the_language_of_its_reader(error, english, german):
    message = error.message
    assert sentence_of(error) == english
    with translation.override("de"):
        assert sentence_of(error) == german
        assert error.message == message


@pytest.mark.parametrize("problem", [*PANProblem, *KeyProblem, *Refusal, *Tampering])
def test_every_reason_has_a_translation(problem):
    with translation.override("de"):
        assert translation.gettext(problem.message) != problem.message


@pytest.mark.parametrize("kind", [VaultError, CardErased, RecordTampered])
def test_every_state_has_a_translation(kind):
    with translation.override("de"):
        assert sentence_of(kind()) != kind().message


def test_errors_of_a_form_are_said_when_they_are_shown():
    field = PANFormField()
    with translation.override("de"), pytest.raises(Exception, match="Geben Sie eine Kartennummer ein"):
        field.clean("")
    with pytest.raises(Exception, match="Enter a card number"):
        field.clean("")


def test_a_card_of_no_known_brand_is_called_so_in_german():
    card = Card(brand="unknown", last4="0000")
    assert str(card) == "Card •••• 0000"
    with translation.override("de"):
        assert str(card) == "Karte •••• 0000"


@pytest.mark.django_db
def test_a_page_says_it_in_german_and_the_audit_log_in_english(canary, settings):
    configure(settings, BREAK_GLASS=False)
    card = make_card(canary("card"))
    ada = make_user("ada", "vault.view_card", "vault.detokenize_pan", is_staff=True)
    page = signed_in(ada).post(card_page(card, "break_glass"), ASKED | {"confirmed": "yes"}, headers=GERMAN)
    assert "Der Notzugriff ist hier abgeschaltet." in page.text
    event = AuditEvent.objects.get(outcome="denied")
    assert event.details["refusal"] == "break_glass"


@pytest.mark.django_db
def test_an_alarm_is_mailed_in_english(canary, settings, caplog):
    configure(settings, ALARM_EMAILS=["security@example.com"])
    card = make_card(canary("card"))
    ada = make_user("ada", "vault.view_card", "vault.detokenize_pan", is_staff=True)
    signed_in(ada).post(card_page(card, "break_glass"), ASKED | {"confirmed": "yes"}, headers=GERMAN)
    assert {"Time:", "Actor:", "Purpose:"} <= {word for sent in mail.outbox for word in sent.body.split()}
    assert "Notzugriff" not in caplog.text + "".join(sent.subject + sent.body for sent in mail.outbox)


@pytest.mark.django_db
def test_the_api_refuses_in_english(canary):
    card = make_card(canary("card"))
    answer = client_of(make_user("shop", "vault.view_card")).post(
        f"/api/v1/tokens/{card.token}/detokenize/", {"purpose": "refund: charged twice"}, headers=GERMAN
    )
    assert answer.status_code == 403
    assert answer.json()["title"] == "This actor may not read card numbers for this purpose."


@pytest.mark.django_db
def test_a_command_refuses_in_english():
    """Even in a process that speaks German to somebody else."""
    with translation.override("de"), pytest.raises(CommandError, match=r"^The text is not a card token\.$"):
        call_command("vault_whocan", "no token")
