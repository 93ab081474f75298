"""Those who read too much, and who lets them read again."""

import pytest

from tests.factories import make_user
from tests.vault.admin.visitors import (
    QUEUE,
    sign,
    signed_in,
    strangers,
)
from vault import policy
from vault.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def locked(ada):
    from vault import alarms

    alarms.sound(policy.LOCK, "Locked.", subject=str(ada.pk))
    return ada


def test_the_locked_are_listed_and_unlocked_by_another_person(locked, bob):
    client = signed_in(bob)
    assert "Locked readers" in client.get(QUEUE).text
    assert "ada" in client.get(f"{QUEUE}locked/").text
    page = client.post(f"{QUEUE}locked/unlock/", {"reader": locked.pk}, follow=True).text
    assert "Nobody is locked." in page
    assert not policy.is_locked(str(locked.pk))
    assert AuditEvent.objects.get(operation=policy.UNLOCK, outcome="done").actor == str(bob.pk)


def test_nobody_unlocks_themselves(locked):
    from django.contrib.auth.models import Permission

    locked.user_permissions.add(Permission.objects.get(codename="approve_reveal"))
    answer = signed_in(locked).post(f"{QUEUE}locked/unlock/", {"reader": locked.pk})
    assert answer.status_code == 403
    assert "Another person has to decide this." in answer.text
    assert policy.is_locked(str(locked.pk))
    assert AuditEvent.objects.get(operation=policy.UNLOCK, outcome="denied").actor == str(locked.pk)


@pytest.mark.parametrize("reader", ["", "0", "x", "reveal:1"])
def test_who_is_not_locked_is_not_unlocked(bob, reader, db):
    page = signed_in(bob).post(f"{QUEUE}locked/unlock/", {"reader": reader}, follow=True).text
    assert "This person is not locked out." in page
    assert not AuditEvent.objects.filter(operation=policy.UNLOCK).exists()


@strangers
def test_strangers_see_no_locks_and_open_none(locked, who, status):
    client = sign(who())
    answers = [client.get(f"{QUEUE}locked/"), client.post(f"{QUEUE}locked/unlock/", {"reader": locked.pk})]
    assert {answer.status_code for answer in answers} == {status}
    assert not any(">ada<" in answer.text for answer in answers)
    assert policy.is_locked(str(locked.pk))


@pytest.mark.parametrize("right", ["vault.view_revealrequest", "vault.detokenize_pan", "vault.view_auditevent"])
def test_other_rights_open_no_locks(locked, right):
    client = signed_in(make_user("carl", right, is_staff=True))
    assert client.get(f"{QUEUE}locked/").status_code == 403
    assert client.post(f"{QUEUE}locked/unlock/", {"reader": locked.pk}).status_code == 403
    assert policy.is_locked(str(locked.pk))


def test_looking_for_the_locked_costs_the_same_for_many(locked, django_assert_num_queries):
    for number in range(20):
        make_user(f"reader{number}", "vault.search_pan")
    with django_assert_num_queries(1, using="default"), django_assert_num_queries(1, using="audit"):
        assert [reader.user for reader in policy.locked_readers()] == [locked]
