import pytest
from django.db import OperationalError, connection


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


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_health_is_only_read(client, address):
    assert client.post(address).status_code == 405
