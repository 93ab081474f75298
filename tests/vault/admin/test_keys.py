"""The list of keys and the runs in the admin: seen by those with the right, changed by nobody."""

import pytest
from django.urls import reverse

from tests.factories import make_user
from tests.vault.admin.visitors import signed_in
from vault.models import Key, Run

pytestmark = pytest.mark.django_db
RIGHTS = {"manages": ("vault.manage_keys",), "views": ("vault.view_key",)}
OTHERS = {"none": (), "cards": ("vault.view_card", "vault.view_auditevent", "vault.view_run")}


@pytest.fixture
def rows():
    arn = "arn:aws:kms:eu-central-1:000000000000:key/0381680b-1a46-4f0b-8e9c-f470a3a4d531"
    key = Key.objects.create(purpose="card", number=1, arn=arn, state="active")
    return [key, Run.objects.create(operation="reencrypt", total_segments=4, counts={"resealed": 7})]


def addresses(rows):
    for row in rows:
        name = f"admin:vault_{row._meta.model_name}"
        yield reverse(f"{name}_changelist")
        yield reverse(f"{name}_change", args=[row.pk])


@pytest.mark.parametrize("rights", RIGHTS.values(), ids=RIGHTS)
def test_those_with_the_right_see_them_and_nobody_changes_them(rows, rights, wire):
    client = signed_in(make_user("kim", *rights, is_staff=True, is_superuser=True))
    for address in addresses(rows):
        assert client.get(address).status_code == 200
    assert "7 resealed" in client.get("/admin/vault/run/").text
    for row in rows:
        name = f"admin:vault_{row._meta.model_name}"
        assert client.get(reverse(f"{name}_add")).status_code == 403
        assert client.post(reverse(f"{name}_change", args=[row.pk]), {"state": "retired"}).status_code == 403
        assert client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert Key.objects.get().state == "active"
    assert Run.objects.count() == 1
    assert not wire.calls


@pytest.mark.parametrize("is_superuser", [False, True])
@pytest.mark.parametrize("rights", OTHERS.values(), ids=OTHERS)
def test_nobody_else_does(rows, rights, is_superuser):
    client = signed_in(make_user("kim", *rights, is_staff=True, is_superuser=is_superuser))
    assert [client.get(address).status_code for address in addresses(rows)] == [403] * 4
