"""Two people who decide in the same moment."""

import threading

import pytest
from django.conf import settings
from django.db import connection

from tests.factories import make_user
from tests.vault.exporting import ada, asked, bob, cleo, configured, digits, kept
from vault import exports
from vault.exceptions import VaultError
from vault.models import ExportApproval

__all__ = ["ada", "asked", "bob", "cleo", "configured", "digits", "kept"]
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not settings.DATABASES["default"]["ENGINE"].endswith("mysql"), reason="SQLite has one writer at a time"
    ),
]


def at_once(*acts):
    """What each said, if it was refused."""
    barrier, refused = threading.Barrier(len(acts)), []

    def work(act):
        barrier.wait()
        try:
            act()
        except VaultError as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def again(asked):
    """The request as another process reads it."""
    return type(asked).objects.get(pk=asked.pk)


@pytest.mark.parametrize("_", range(5))
def test_two_who_approve_at_once_are_two(asked, bob, cleo, _):
    assert at_once(*(lambda who=who: exports.approve(again(asked), actor=who) for who in (bob, cleo))) == []
    assert (again(asked).state, asked.approvals.count()) == ("approved", 2)


@pytest.mark.parametrize("_", range(5))
def test_one_who_approves_twice_at_once_is_one(asked, bob, _):
    refused = at_once(*[lambda: exports.approve(again(asked), actor=bob)] * 4)
    assert len(refused) == 3
    assert (again(asked).state, ExportApproval.objects.count()) == ("pending", 1)


@pytest.mark.parametrize("_", range(5))
def test_a_refusal_beside_an_approval_ends_it(asked, bob, cleo, _):
    exports.approve(asked, actor=cleo)
    dora = make_user("dora", "vault.approve_export", is_staff=True)
    at_once(
        lambda: exports.approve(again(asked), actor=bob), lambda: exports.refuse(again(asked), actor=dora, note="no")
    )
    now = again(asked)
    # Whoever was first has decided: the other one is too late.
    assert (now.state, now.approvals.count()) in {("approved", 2), ("refused", 2)}
