"""After a sign-out a browser is told to forget what it keeps, whichever page it was."""

import pytest
from django.test import Client

from billing.sign_out import CLEARED
from tests.billing.people import make_staff
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/accounts/logout/", "/admin/logout/"])
def test_the_browser_forgets_pages_and_storage_and_keeps_the_language(client, address):
    client.force_login(make_staff())
    answer = client.post(address)
    assert answer["Clear-Site-Data"] == CLEARED == '"cache", "storage"'
    assert "no-store" in answer["Cache-Control"]
    assert "_auth_user_id" not in client.session


def test_it_forgets_when_a_session_ends_by_itself(client, monkeypatch):
    client.force_login(make_staff())
    client.get("/orders/")
    monkeypatch.setattr("billing.middleware.sessions.is_idle", lambda _: True)
    assert client.get("/admin/")["Clear-Site-Data"] == CLEARED


@pytest.mark.parametrize("address", ["/accounts/logout/", "/accounts/login/", "/nowhere/"])
def test_who_was_not_signed_in_keeps_everything(address):
    assert "Clear-Site-Data" not in Client().post(address)


def test_asking_to_sign_out_is_no_sign_out(client):
    client.force_login(make_user())
    assert "Clear-Site-Data" not in client.get("/accounts/logout/")
    assert "_auth_user_id" in client.session
