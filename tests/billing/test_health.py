from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests.cards import NUMBERS
from tests.wire import Wire
from vault import services
from vault.models import Card, Run
from vault.pan import PAN


def test_a_process_is_alive_without_anything_else(client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.django_db
def test_a_process_is_ready_with_its_database_and_does_not_ask_aws(client, wire):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert "no-store" in answer["Cache-Control"]
    assert not wire.calls


@pytest.mark.django_db
def test_a_process_without_its_database_is_not_ready_and_says_no_more_than_that(client):
    def lost(*_):
        raise OperationalError("secret host name")

    with connection.execute_wrapper(lost):
        answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "database unreachable\n")


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/health/retention"])
def test_health_is_only_read(client, address):
    assert client.post(address).status_code == 405


@pytest.mark.django_db
def test_a_monitor_hears_when_nobody_proved_that_no_card_is_kept_for_too_long(client, vault):
    since = timezone.now() - timedelta(days=1)
    services.tokenize(PAN(NUMBERS["visa"][0]))
    wire = Wire(vault)
    answer = client.get("/health/retention")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    Card.objects.update(created_at=since - timedelta(days=vault.config.VERIFY_EVERY_DAYS))
    answer = client.get("/health/retention")
    assert (answer.status_code, answer.text) == (503, f"overdue since {since:%Y-%m-%d}\n")
    Run.objects.create(operation="retention", state="done", finished_at=timezone.now())
    assert client.get("/health/retention").status_code == 200
    assert not wire.calls


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["10.0.3.7:8000", "evil.example", "[::1"])
def test_health_is_answered_to_whoever_asks_for_it_by_address(client, host):
    answers = [client.get(address, headers={"Host": host}) for address in ("/healthz", "/readyz")]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "ok\n")] * 2
    assert client.get("/health/retention", headers={"Host": host}).status_code == 400
