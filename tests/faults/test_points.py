"""The harness itself: faults happen at the points that they name, and nowhere else."""

import signal
import subprocess

import pytest
from django.db import OperationalError, connection

from orders import services
from orders.models import Order
from tests.factories import CONTENT, make_user
from tests.faults import Faults, Point
from tests.faults.sql import needs_mysql
from tests.processes import Installation
from vault.exceptions import VaultUnavailable
from vault.models import Card
from vault.pan import PAN


def place(digits, customer=None):
    return services.place(customer=customer or make_user(), card=PAN(digits), save_card=False, **CONTENT)


@pytest.mark.parametrize(
    "line",
    [
        "kill",
        "tickle before call Decrypt",
        "kill during call Decrypt",
        "kill before event tokenize intent",
        "kill before COMMIT",
        "kill before call Decrypt #",
    ],
)
def test_a_fault_that_says_nothing_is_refused(line):
    with pytest.raises(ValueError, match="fault|point|event"):
        Faults([line])


@pytest.mark.django_db(transaction=True)
def test_an_order_goes_by_the_points_that_trials_name_in_this_order(faults, canary):
    passed = []
    for side, of in ORDER:
        faults.at(Point(side, of), lambda moment: passed.append((moment.point.side, moment.point.of)))
    place(canary("order"))
    assert passed == ORDER


ORDER = [
    ("after", "event tokenize intent"),
    ("after", "call BatchGetItem"),
    ("before", "call GenerateDataKey"),
    ("after", "call GenerateDataKey"),
    ("before", "call TransactWriteItems"),
    ("after", "call TransactWriteItems"),
    ("before", "COMMIT of vault_card"),
    ("after", "COMMIT of vault_card"),
    ("after", "event tokenize done"),
    ("before", "write of orders_order"),
    ("after", "write of orders_order"),
    ("before", "COMMIT of orders_order"),
    ("after", "COMMIT of orders_order"),
]


@pytest.mark.django_db
def test_a_fault_happens_at_its_time_and_not_again(faults, vault, canary):
    digits = canary("order")
    faults.add("fail:AccessDeniedException before call TransactWriteItems #2")
    vault.store.keep([PAN(digits)])
    with pytest.raises(Exception, match="cannot be opened"):
        vault.store.keep([PAN(canary("second"))])
    vault.store.keep([PAN(canary("third"))])
    faults.add("fail:ThrottlingException before call BatchGetItem #*")
    with pytest.raises(VaultUnavailable):
        vault.store.find(PAN(digits))


@pytest.mark.django_db(transaction=True)
def test_what_a_point_stops_is_rolled_back_and_hooks_are_taken_off(faults, canary):
    customer = make_user()
    faults.add("deny:1205 before COMMIT of orders_order")
    with pytest.raises(OperationalError):
        place(canary("order"), customer)
    assert (Order.objects.count(), Card.objects.count()) == (0, 1)
    faults.clear()
    place(canary("another"), customer)
    assert Order.objects.count() == 1


@needs_mysql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("fault", "placed", "said"), [("disconnect before", 0, 2006), ("lose after", 1, 2013)])
def test_a_connection_is_closed_by_the_server_before_or_after_it_commits(faults, canary, fault, placed, said):
    customer = make_user()
    faults.add(f"{fault} COMMIT of orders_order")
    with pytest.raises(OperationalError) as lost:
        place(canary("order"), customer)
    assert lost.value.args[0] == said
    connection.close()
    assert Order.objects.count() == placed


KILLED = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE things (id integer)")
    print("made", flush=True)
    cursor.execute("INSERT INTO things VALUES (1)")
    print("written", flush=True)
"""


@pytest.mark.parametrize(
    ("fault", "printed"), [("kill before COMMIT of things", "made\n"), ("kill after write of other", "made\nwritten\n")]
)
def test_another_process_dies_at_its_point(tmp_path, fault, printed):
    process = Installation(tmp_path).script(KILLED, faults=[fault], stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate()
    assert out == printed
    assert process.returncode == (0 if "written" in printed else -signal.SIGKILL)
