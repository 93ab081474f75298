"""Where real card numbers do not belong, published test numbers alone are taken (PCI DSS 6.5.5)."""

import io
import os
import subprocess
import sys

import pytest
from django.conf import settings as django_settings
from django.db import transaction

from tests.cards import ALL_NUMBERS, with_check_digit
from tests.factories import client_of, make_user
from tests.shop.models import Purchase
from vault import services
from vault.acceptance import accept, refuse_real
from vault.adoption.rows import Row
from vault.exceptions import InvalidPAN, PANProblem
from vault.forms import PAN_MESSAGES, PANFormField
from vault.importing.columns import Naming
from vault.importing.reading import CSVFile, Lines
from vault.importing.refusals import Reason
from vault.models import AuditEvent, Card
from vault.pan import PAN
from vault.testcards import is_test_card

SENTENCE = "Only test card numbers are taken here. Do not enter a real one."


@pytest.fixture
def real(leaks, canary, settings):
    """A number that somebody could have, as no test range holds it, where only test numbers are taken."""
    settings.VAULT = settings.VAULT | {"TEST_CARDS_ONLY": True}
    number = with_check_digit("47617391" + canary("the digits of it")[8:15])
    return leaks.watch(number, label="real card")


@pytest.mark.parametrize("digits", ALL_NUMBERS)
def test_published_numbers_are_taken(digits, settings):
    settings.VAULT = settings.VAULT | {"TEST_CARDS_ONLY": True}
    assert accept(digits) == PAN(digits)


def test_a_real_number_is_refused_without_being_repeated(real):
    with pytest.raises(InvalidPAN) as refused:
        accept(real)
    assert refused.value.problem is PANProblem.REAL
    assert str(refused.value) == SENTENCE == PAN_MESSAGES[PANProblem.REAL]


def test_one_real_number_among_others_is_found(real, card):
    with pytest.raises(InvalidPAN):
        refuse_real([PAN(card("visa")), PAN(real)])


def test_it_is_a_choice(real, settings):
    settings.VAULT = settings.VAULT | {"TEST_CARDS_ONLY": False}
    assert not is_test_card(accept(real))


def test_a_form_says_so(real):
    with pytest.raises(Exception, match=SENTENCE):
        PANFormField().clean(real)


@pytest.mark.django_db
def test_no_caller_gets_a_real_number_into_the_vault(real, card, vault):
    with pytest.raises(InvalidPAN):
        services.tokenize_many([PAN(card("visa")), PAN(real)])
    assert not Card.objects.exists()
    assert vault.store.find(PAN(real)) is None
    assert [event.outcome for event in AuditEvent.objects.filter(operation="tokenize").order_by("pk")] == [
        "intent",
        "failed",
    ]


@pytest.mark.django_db
def test_a_field_of_a_model_refuses_it(real):
    with pytest.raises(InvalidPAN):
        Purchase(card=real)
    with pytest.raises(InvalidPAN), transaction.atomic():
        Purchase.objects.create(card=PAN(real))
    assert not Purchase.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/tokens/", lambda pan: {"pan": pan}),
        ("/api/v1/tokens/search/", lambda pan: {"pan": pan}),
    ],
)
def test_the_api_refuses_it(real, path, body):
    account = make_user("shop", "vault.tokenize_pan", "vault.search_pan", "vault.view_card")
    answer = client_of(account).post(path, body(real))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "real")
    assert answer.json()["errors"][0]["detail"] == SENTENCE
    assert not Card.objects.exists()


def test_an_import_rejects_the_row_and_keeps_the_others(real, card):
    file = CSVFile(Lines(io.BytesIO(f"number\n{real}\n{card('visa')}\n".encode())), Naming({}))
    rejected, kept = file.rows()
    assert (rejected.row, rejected.reason, rejected.reason.message) == (2, Reason.NUMBER_REAL, SENTENCE)
    assert kept.pan == PAN(card("visa"))


def test_a_column_that_is_adopted_has_it_as_invalid(real):
    row = Row.of(1, real, None)
    assert (row.pan, row.problem) == (None, PANProblem.REAL)


@pytest.mark.parametrize(
    ("module", "variable", "expected"),
    [
        ("local", None, "True"),
        ("test", None, "True"),
        ("local", "false", "False"),
        ("production", None, "False"),
        ("production", "true", "True"),
    ],
)
def test_production_alone_takes_real_numbers_by_itself(module, variable, expected, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": f"billing.settings.{module}",
        "SECRET_KEY": "s",
        "ALLOWED_HOSTS": "shop.example",
        "DATABASE_URL": "mysql://u:p@db/billing",
        "AUDIT_DATABASE_URL": "mysql://u:p@db/audit",
        "DATABASE_CA": __file__,
        "EMAIL_URL": "smtp+tls://mail",
        **({"VAULT_TEST_CARDS_ONLY": variable} if variable else {}),
    }
    script = "from django.conf import settings; print(settings.VAULT['TEST_CARDS_ONLY'])"
    command = [sys.executable, "-c", script]
    told = subprocess.run(
        command, env=environment, cwd=django_settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == expected
