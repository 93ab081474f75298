"""Real senders on a database of their own: killed, resumed, and several at once."""

import re
import time
from collections import Counter

import pytest

from tests.leaks import Sink
from tests.orders.feed.consumers import consumer, is_signed
from tests.processes import installation, kill_after

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
__all__ = ["consumer", "installation"]
ORDERS = 40

SET_UP = """
import sys
from decimal import Decimal
from django.contrib.auth.models import User
from django.core.management import call_command
from orders import services
from vault.pan import PAN
url, digits = sys.stdin.read().split("|")
shop = User.objects.create_user("shop")
call_command("webhook", "add", "shop", url)
order = services.place(customer=shop, name="x", description="", amount=Decimal(1), currency="EUR", card=PAN(digits))
for _ in range(%d - 1):
    services.pay_again(order, card=order.card.token)
from orders.feed.models import Endpoint
from orders.feed.signing import shown_secret
print(shown_secret(Endpoint.objects.get()))
"""
LATER = """
from datetime import timedelta
from django.utils import timezone
from orders.feed.models import Delivery
print(Delivery.objects.exclude(claim="").update(next_at=timezone.now() - timedelta(seconds=1)))
"""
STATES = """
from collections import Counter
from orders.feed.models import Delivery
print(sorted(Counter(Delivery.objects.values_list("state", "tries")).items()))
"""


def set_up(installation, consumer, path, digits):
    return installation.run(SET_UP % ORDERS, stdin=f"{consumer.url}/{path}|{digits}")


def test_a_killed_sender_loses_nothing_and_repeats_what_it_was_sending_alone(installation, consumer, canary, leaks):
    secret = set_up(installation, consumer, "204", canary("order"))
    for _ in range(3):
        # The consumer has it and does not answer: the moment at which nobody can know.
        seen = len(consumer.got)
        consumer.answers[:] = ["204"] * 5 + ["hang"]
        process = installation.start("send_events")
        deadline = time.monotonic() + 40
        while len(consumer.got) < seen + 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert kill_after(process, 0)
        consumer.answers.clear()
        # Its claim keeps the others away, until it ends: two minutes, which nobody waits for here.
        assert int(installation.run(LATER)) >= 1
    said = installation.manage("send_events")
    times = Counter(got.id for got in consumer.got)
    assert len(times) == ORDERS
    assert sorted(times.values()) == [1] * (ORDERS - 3) + [2] * 3
    assert all(is_signed(got, secret) for got in consumer.got)
    bodies = {got.id: got.body for got in consumer.got}
    assert all(got.body == bodies[got.id] for got in consumer.got)
    assert re.search(r" 0 postponed, 0 failed", said)
    assert installation.run(STATES) == f"[(('delivered', 1), {ORDERS - 3}), (('delivered', 2), 3)]"
    for database in ("default", "audit"):
        leaks.record(Sink.TABLE, installation.manage("dumpdata", "orders", "vault", "--database", database), database)
    leaks.record(Sink.SUBPROCESS, said + str([got.body for got in consumer.got]), "what was sent")


def test_a_claim_of_a_killed_sender_keeps_its_delivery_from_others(installation, consumer, canary):
    set_up(installation, consumer, "204", canary("order"))
    consumer.answers[:] = ["hang"]
    process = installation.start("send_events")
    while not consumer.got:
        time.sleep(0.01)
    assert kill_after(process, 0)
    installation.manage("send_events")
    assert Counter(got.id for got in consumer.got).most_common(1)[0][1] == 1
    assert len(consumer.got) == ORDERS


def test_several_senders_at_once_send_each_event_once(installation, consumer, canary):
    set_up(installation, consumer, "204", canary("order"))
    senders = [installation.start("send_events") for _ in range(4)]
    assert [sender.wait(60) for sender in senders] == [0] * 4
    assert sorted(Counter(got.id for got in consumer.got).values()) == [1] * ORDERS
    assert installation.run(STATES) == f"[(('delivered', 1), {ORDERS})]"


DISTRIBUTE = """
import time
from orders.feed import deliveries
until = time.monotonic() + 6
while time.monotonic() < until:
    deliveries.distribute()
"""
PLACE = """
import time
from orders import services
from orders.models import Order
order, until = Order.objects.first(), time.monotonic() + 6
while time.monotonic() < until:
    services.pay_again(order, card=order.card.token)
"""
UNSENT = """
from orders.feed import deliveries
from orders.feed.models import Delivery, Event
deliveries.distribute()
print(Event.objects.count() - Delivery.objects.count(), Event.objects.count() > %d)
"""


def test_several_that_distribute_while_orders_come_in_do_not_wait_for_each_other(installation, consumer, canary):
    set_up(installation, consumer, "204", canary("order"))
    running = [installation.script(source) for source in [DISTRIBUTE] * 4 + [PLACE] * 2]
    assert [process.wait(60) for process in running] == [0] * 6
    assert installation.run(UNSENT % ORDERS) == "0 True"


# Certificates of so many erasures would take minutes; what meets in the outbox is real.
FOLLOW = """
import hashlib
from django.utils import timezone
from orders.feed import erasures
from vault.services import Erasure
now = timezone.now()
for look in range(40):
    numbers = [hashlib.sha1(f"{look}:{each}".encode()).hexdigest() for each in range(200)]
    page = [Erasure(number, now, "tok1_x", "visa", "1111", now) for number in numbers]
    erasures.vault.erasures = lambda since, after: page if after is None else []
    erasures.follow()
"""
ERASED = """
from orders.feed.models import Event
print(Event.objects.filter(type="card.erased").count())
"""


def test_several_that_follow_erasures_at_once_do_not_wait_for_each_other(installation, consumer, canary):
    set_up(installation, consumer, "204", canary("order"))
    running = [installation.script(FOLLOW) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert installation.run(ERASED) == "8000"
