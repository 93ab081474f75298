"""What the console says of keys, and of the last runs over the vault."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.vault.admin.consoles import CONSOLE, staff, state_of
from vault.models import Card, Key, Run

pytestmark = pytest.mark.django_db
ARN = "arn:aws:kms:eu-central-1:000000000000:key/0381680b-1a46-4f0b-8e9c-f470a3a4d531"


def text_of(page):
    return " ".join(page.split())


def test_a_key_is_as_old_as_its_row_and_the_first_as_the_first_card(kept):
    now = timezone.now()
    Card.objects.update(created_at=now - timedelta(days=400))
    for number, state, age in ((1, "old", 400), (2, "active", 100)):
        Key.objects.create(purpose="card", number=number, arn=ARN, state=state, created_at=now - timedelta(days=age))
    Key.objects.create(purpose="fingerprint", number=1, arn=ARN, state="active", created_at=now - timedelta(days=7))
    page = text_of(staff("view_key").get(CONSOLE).text)
    assert "100 days of 365. The cryptoperiod ends on" in page
    assert "400 days of 365. The cryptoperiod ended on" in page
    assert "<dt>Card key 2</dt>" in page
    assert "<dt>Fingerprint key 1</dt>" in page
    assert "<dt>Card key 1</dt>" not in page


def test_keys_that_were_never_rotated_are_as_old_as_the_first_card(kept):
    Card.objects.update(created_at=timezone.now() - timedelta(days=30))
    assert text_of(staff("view_key").get(CONSOLE).text).count("30 days of 365.") == 2


def test_without_keys_and_cards_there_is_nothing_to_draw():
    page = staff("view_key").get(CONSOLE).text
    assert "There is nothing to show yet." in page


@pytest.mark.parametrize(
    ("state", "shown"), [("done", "good"), ("failed", "attention"), ("running", "attention"), (None, "never")]
)
def test_the_newest_comparison_of_both_stores_is_shown(state, shown):
    if state:
        Run.objects.create(operation="fsck", state="done", started_at=timezone.now() - timedelta(days=2))
        Run.objects.create(operation="fsck", state=state)
    assert state_of(staff("view_key").get(CONSOLE).text, "Both stores compared") == shown


@pytest.mark.parametrize(("days_ago", "shown"), [(1, "good"), (100, "attention"), (None, "never")])
def test_the_last_proof_that_nothing_is_kept_too_long_is_shown(days_ago, shown):
    if days_ago:
        at = timezone.now() - timedelta(days=days_ago)
        Run.objects.create(operation="retention", state="done", started_at=at)
    assert state_of(staff("view_key").get(CONSOLE).text, "Verified that no card is kept too long") == shown
