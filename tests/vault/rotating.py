"""A vault whose keys are rotated: its cards, who reads them, and what its processes and commands say."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.cards import NUMBERS
from tests.factories import make_user
from vault import services
from vault.backend import Vault
from vault.models import Key
from vault.pan import PAN
from vault.rotation import Rotation
from vault.tokens import Token

PANS = [PAN(numbers[0]) for numbers in NUMBERS.values()]
VISA = PANS[0]


@pytest.fixture
def cards():
    return [result.card for result in services.tokenize_many(PANS)]


@pytest.fixture
def read():
    reader = make_user("ray", "vault.detokenize_pan")
    return lambda cards: services.detokenize_many(
        [card.token for card in cards], actor=reader, purpose="refund: charged twice"
    )


@pytest.fixture
def rotation(vault):
    return Rotation(vault, sleep=lambda seconds: None)


def run(command, *arguments):
    """What a command says as JSON; it must end well."""
    out = StringIO()
    call_command(command, *arguments, "--format=json", stdout=out)
    return json.loads(out.getvalue())


def age_the_list(seconds=61):
    Key.objects.update(changed_at=timezone.now() - timedelta(seconds=seconds))


def another_process(vault):
    """A vault with the same settings that has not looked at the list since it was opened."""
    other = Vault(vault.config)
    assert other.store
    return other


def keys_by_number():
    return {(key["purpose"], key["number"]): key for key in run("vault_keys")}


def due(vault, cards):
    tokens = [Token.parse(card.token) for card in cards]
    return list(vault.store.read(tokens).values())
