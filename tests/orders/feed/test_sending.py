import logging
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from orders import services
from orders.feed import deliveries, endpoints, posting, sending, signing
from orders.feed.models import Attempt, Delivery, Endpoint, Event
from tests.factories import make_card, make_user
from tests.orders.feed.consumers import consumer, is_signed
from tests.orders.feed.making import make_endpoint, place
from vault import services as vault
from vault.models import AuditEvent

__all__ = ["consumer"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make_user()


@pytest.fixture
def shop():
    return make_user("shop", "orders.view_order", "vault.tokenize_pan")


@pytest.fixture
def order(customer, shop, consumer, canary):
    """Placed when there was an endpoint for it."""
    make_endpoint(shop, f"{consumer.url}/204")
    return place(customer, canary("order"))


def point_to(url):
    Endpoint.objects.update(url=url)


def due_now():
    Delivery.objects.update(next_at=timezone.now())


# --- Delivered ------------------------------------------------------------------------------------------------------


def test_an_event_is_sent_once_and_signed(order, consumer):
    sent = sending.run()
    sending.run()
    (got,), event = consumer.got, Event.objects.get()
    assert (sent.events, sent.delivered, sent.tried) == (1, 1, 1)
    assert is_signed(got, signing.shown_secret(Endpoint.objects.get()))
    assert got.headers["content-type"] == "application/json"
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    assert got.id == got.event["id"] == event.public_id
    assert (got.event["type"], got.event["data"]) == ("order.placed", event.payload)
    delivery, attempt = Delivery.objects.get(), Attempt.objects.get()
    assert (delivery.state, delivery.tries, delivery.claim) == ("delivered", 1, "")
    assert (attempt.status, attempt.error) == (204, "")


def test_nothing_of_an_answer_is_kept_or_logged(order, consumer, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    point_to(f"{consumer.url}/500?key=consumers-own-key")
    sending.run()
    rows = str([list(model.objects.values()) for model in (Delivery, Attempt, Event, AuditEvent)])
    for text in (rows, caplog.text, str(capsys.readouterr())):
        assert "what a consumer answered" not in text
        assert "consumers-own-key" not in text
    assert consumer.got[0].path == "/500?key=consumers-own-key"


def test_an_answer_that_cannot_be_parsed_is_not_logged_either(order, consumer, caplog):
    caplog.set_level(logging.DEBUG)
    consumer.headers["X"] = "1\r\nwhat a consumer answered"
    point_to(f"{consumer.url}/500?key=consumers-own-key")
    assert sending.run().postponed == 1
    assert Attempt.objects.get().status == 500
    assert "what a consumer answered" not in caplog.text
    assert "consumers-own-key" not in caplog.text


def test_types_that_were_not_asked_for_are_not_sent(customer, shop, consumer, canary):
    make_endpoint(shop, f"{consumer.url}/204", "order.cancelled")
    services.cancel(place(customer, canary("order")))
    sending.run()
    assert [got.event["type"] for got in consumer.got] == ["order.cancelled"]


def test_what_was_before_an_endpoint_it_is_not_sent(customer, shop, consumer, canary):
    place(customer, canary("order"))
    make_endpoint(shop, f"{consumer.url}/204")
    sending.run()
    assert not consumer.got
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_erased_card_is_told_of(shop, consumer, canary):
    make_endpoint(shop, f"{consumer.url}/204")
    card = make_card(canary("card"))
    vault.erase(card.token, actor=make_user("eraser", "vault.erase_card"), reason="Asked for")
    assert sending.run().erasures == 1
    assert [(got.event["type"], got.event["data"]["token"]) for got in consumer.got] == [("card.erased", card.token)]


# --- Who may know ---------------------------------------------------------------------------------------------------


def test_an_account_is_sent_its_own_orders_and_no_others(customer, consumer, canary):
    make_endpoint(customer, f"{consumer.url}/204")
    other = place(make_user("bob"), canary("other"))
    mine = place(customer, canary("mine"))
    sending.run()
    assert [got.event["data"]["id"] for got in consumer.got] == [mine.public_id]
    assert other.public_id not in str([got.body for got in consumer.got])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("rights", "is_told"),
    [
        ([], False),
        (["orders.view_order"], False),
        (["vault.erase_card"], False),
        (["vault.view_card"], True),
        (["vault.tokenize_pan"], True),
    ],
    ids=str,
)
def test_of_erasures_know_those_who_see_cards(consumer, canary, rights, is_told):
    make_endpoint(make_user("shop", *rights), f"{consumer.url}/204")
    vault.erase(make_card(canary("card")).token, actor=make_user("eraser", "vault.erase_card"), reason="Asked for")
    sending.run()
    assert bool(consumer.got) is is_told
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_superuser_knows_of_no_erasure_by_that(consumer, canary):
    account = make_user("root")
    make_endpoint(account, f"{consumer.url}/204")
    User.objects.update(is_superuser=True)
    vault.erase(make_card(canary("card")).token, actor=make_user("eraser", "vault.erase_card"), reason="Asked for")
    sending.run()
    assert not consumer.got


def revoke(account):
    account.user_permissions.clear()


def deactivate(account):
    User.objects.filter(pk=account.pk).update(is_active=False)


def make_staff(account):
    User.objects.filter(pk=account.pk).update(is_staff=True)


def make_superuser(account):
    User.objects.filter(pk=account.pk).update(is_superuser=True)


@pytest.mark.parametrize("change", [revoke, deactivate, make_staff, make_superuser])
@pytest.mark.parametrize("moment", ["before it was distributed", "after"])
def test_who_may_not_know_any_more_is_sent_nothing(order, shop, consumer, change, moment):
    if moment == "after":
        deliveries.distribute()
    change(shop)
    sent = sending.run()
    assert not consumer.got
    assert sent.withheld == (moment == "after")
    assert not Delivery.objects.exclude(state="withheld").exists()
    assert not Attempt.objects.exists()


def test_a_right_revoked_while_others_are_sent_counts_at_once(order, customer, shop, consumer, canary, monkeypatch):
    place(customer, canary("second"))
    real = sending.post

    def post(*args, **options):
        answer = real(*args, **options)
        User.user_permissions.through.objects.all().delete()
        return answer

    # In this thread: the database of this test is its own.
    monkeypatch.setattr(sending.ThreadPoolExecutor, "submit", lambda self, work: _Done(work))
    monkeypatch.setattr(sending, "post", post)
    monkeypatch.setattr(sending, "wait", lambda busy, **_: _Done.all_of(busy))
    sent = sending.run()
    assert (sent.delivered, sent.withheld, len(consumer.got)) == (1, 1, 1)


class _Done:
    def __init__(self, work):
        self.answer = work()

    def result(self):
        return self.answer

    @classmethod
    def all_of(cls, busy):
        found = cls(lambda: None)
        found.done = list(busy)
        return found


# --- Not delivered --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 500, 503])
def test_every_other_status_is_retried_and_no_redirect_followed(order, consumer, status):
    consumer.headers["Location"] = f"{consumer.url}/204"
    point_to(f"{consumer.url}/{status}")
    assert sending.run().postponed == 1
    delivery = Delivery.objects.get()
    assert delivery.state == "pending"
    assert timedelta(seconds=3) < delivery.next_at - timezone.now() < timedelta(seconds=6.1)
    assert [got.path for got in consumer.got] == [f"/{status}"]


def test_it_is_retried_as_often_as_promised_and_then_given_up(order, consumer):
    point_to(f"{consumer.url}/500")
    waits = []
    for _ in range(9):
        due_now()
        sending.run()
        waits.append((Delivery.objects.get().next_at - timezone.now()) / timedelta(seconds=1))
    promised = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert all(wish - 5 < wait <= wish * 1.2 for wait, wish in zip(waits, promised, strict=True))
    due_now()
    assert sending.run().failed == 1
    due_now()
    sending.run()
    assert Delivery.objects.get().state == "failed"
    assert len(consumer.got) == Attempt.objects.count() == 10
    assert len({got.id for got in consumer.got}) == len({got.body for got in consumer.got}) == 1


@pytest.mark.parametrize(
    ("status", "asked", "wait"),
    [
        (429, "120", 120),
        (503, "120", 120),
        (500, "120", 6),
        (503, "1", 6),
        (503, "999999", 86_400),
        (503, "soon", 6),
        (503, "-5", 6),
        (503, "9" * 30, 6),
        (503, "Fri, 31 Dec 1999 23:59:59 GMT", 6),
        (503, "Fri, 31 Dec 2999 23:59:59 GMT", 86_400),
        (503, f"Fri, 31 Dec {'9' * 14} 23:59:59 GMT", 6),
        (503, f"Fri, 31 Dec 2999 23:59:59 +{'9' * 30}", 6),
    ],
)
def test_a_consumer_may_ask_to_wait(order, consumer, status, asked, wait):
    consumer.headers["Retry-After"] = asked
    point_to(f"{consumer.url}/{status}")
    sending.run()
    assert wait - 4 < (Delivery.objects.get().next_at - timezone.now()).total_seconds() <= wait


def test_gone_disables_the_endpoint(order, customer, consumer, canary):
    place(customer, canary("second"))
    point_to(f"{consumer.url}/410")
    assert sending.run().failed == 1
    assert not Endpoint.objects.get().is_active
    assert len(consumer.got) == 1
    event = AuditEvent.objects.get(operation="webhook.disable", outcome="done")
    assert (event.reason, event.details["endpoint"]) == ("410 Gone", Endpoint.objects.get().public_id)


def test_what_a_disabled_endpoint_had_to_come_is_sent_when_it_is_enabled(order, consumer):
    deliveries.distribute()
    endpoints.disable(endpoint := Endpoint.objects.get())
    sending.run()
    assert not consumer.got
    endpoints.enable(endpoint)
    assert sending.run().delivered == 1
    assert Delivery.objects.get().tries == 1


@pytest.mark.parametrize(("path", "error"), [("hang", "timeout"), ("drip", "timeout"), ("break", "connect")])
def test_no_answer_is_logged_as_why(order, consumer, monkeypatch, path, error):
    monkeypatch.setattr(posting, "READ_SECONDS", 0.3)
    monkeypatch.setattr(posting, "EXCHANGE_SECONDS", 0.6)
    point_to(f"{consumer.url}/{path}")
    sending.run()
    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.error) == (None, error)
    assert attempt.duration_ms < 2000


def test_nobody_there_is_logged_as_that(order, consumer):
    consumer.close()
    sending.run()
    assert Attempt.objects.get().error == "connect"


def test_a_certificate_that_nobody_vouches_for_is_refused(order, consumer):
    from tests.orders.feed.tls import served

    with served() as url:
        point_to(url)
        sending.run()
    assert Attempt.objects.get().error == "tls"
    assert Delivery.objects.get().state == "pending"


def test_a_proxy_in_the_environment_is_not_used(order, consumer, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert sending.run().delivered == 1


# --- Many -----------------------------------------------------------------------------------------------------------


def test_an_endpoint_that_hangs_keeps_no_other_waiting_and_is_left_alone(customer, shop, consumer, canary, monkeypatch):
    monkeypatch.setattr(posting, "READ_SECONDS", 1)
    make_endpoint(shop, f"{consumer.url}/hang")
    make_endpoint(shop, f"{consumer.url}/204")
    order = place(customer, canary("order"))
    for _ in range(7):
        services.pay_again(order, card=order.card.token)
    sent = sending.run()
    hung = [got for got in consumer.got if got.path == "/hang"]
    assert (sent.delivered, sent.postponed, len(hung)) == (8, 3, 3)
    assert max(got.at for got in consumer.got if got.path == "/204") < hung[1].at


def test_a_delivery_costs_the_same_however_many_there_are(order, customer, consumer, django_assert_max_num_queries):
    counts = []
    for more in (5, 20):
        for _ in range(more):
            services.pay_again(order, card=order.card.token)
        deliveries.distribute()
        due = Delivery.objects.filter(state="pending").count()
        with django_assert_max_num_queries(500) as queries:
            assert sending.run().delivered == due
        counts.append((len(queries), due))
    (few, first), (many, second) = counts
    # Two savepoints each around the claim, which is read and written, and around the outcome and its attempt; the row,
    # two for rights, one for the order.
    assert (many - few) / (second - first) <= 12


def test_distributing_costs_the_same_for_200_events_as_for_1(customer, shop, canary, django_assert_max_num_queries):
    order = place(customer, canary("order"))
    Event.objects.all().delete()
    make_endpoint(shop, "https://shop.example/hook")
    counts = []
    for more in (1, 150):
        Event.objects.bulk_create(
            Event(type="order.placed", subject=f"{more} {number}", order=order, payload={}) for number in range(more)
        )
        with django_assert_max_num_queries(16) as queries:
            assert deliveries.distribute() == more
        counts.append(len(queries))
    # SQLite takes no more than 999 values in one statement.
    assert counts[1] <= counts[0] + 1
    assert Delivery.objects.count() == 151


def test_a_limit_counts_attempts(order, customer, consumer):
    for _ in range(3):
        services.pay_again(order, card=order.card.token)
    assert sending.run(limit=2).tried == 2
    assert sending.run().tried == 2


def test_with_time_it_looks_for_more(order, consumer, monkeypatch):
    looks = []
    monkeypatch.setattr(sending.time, "sleep", looks.append)
    monkeypatch.setattr(sending.erasures, "follow", lambda: 0)
    started = time.monotonic()
    sending.run(seconds=1.3)
    assert looks
    assert time.monotonic() - started < 3


def test_a_claim_keeps_others_away_until_it_ends(order, consumer):
    deliveries.distribute()
    delivery = Delivery.objects.get()
    assert sending._claim(delivery.pk)
    assert sending._claim(delivery.pk) is None
    assert sending.run().tried == 0
    Delivery.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    assert sending.run().delivered == 1
    assert Delivery.objects.get().tries == 2


def test_whoever_lost_its_claim_changes_nothing(order):
    deliveries.distribute()
    lost = sending._claim(Delivery.objects.get().pk)
    due_now()
    assert sending._claim(lost.delivery.pk)
    sending._settle(lost, state="failed")
    assert Delivery.objects.get().state == "pending"


def test_what_was_deleted_while_it_was_sent_ends_no_run(order):
    deliveries.distribute()
    claimed = sending._claim(Delivery.objects.get().pk)
    Event.objects.all().delete()
    sending._Sender(None)._finish(claimed, posting.Answer(5, status=204))
    assert not Attempt.objects.exists()


def test_an_attempt_after_its_claim_ended_is_in_the_log_still(order):
    deliveries.distribute()
    lost = sending._claim(Delivery.objects.get().pk)
    due_now()
    assert sending._claim(lost.delivery.pk)
    sending._Sender(None)._finish(lost, posting.Answer(5, status=204))
    assert Attempt.objects.get().status == 204
    assert Delivery.objects.get().state == "pending"


# --- Again, late, away ----------------------------------------------------------------------------------------------


def test_what_was_delivered_can_be_sent_again_under_the_same_id(order, consumer):
    sending.run()
    assert deliveries.send_again(Delivery.objects.all()) == 1
    sending.run()
    assert len(consumer.got) == 2
    assert len({got.id for got in consumer.got}) == 1
    assert Attempt.objects.count() == 2


def test_what_is_being_sent_is_left_alone(order):
    deliveries.distribute()
    claimed = sending._claim(Delivery.objects.get().pk)
    assert deliveries.send_again(Delivery.objects.all()) == 0
    assert Delivery.objects.get().claim == claimed.claim


def test_late_is_what_nobody_sends(order):
    assert deliveries.count_late() == 0
    Event.objects.update(created_at=timezone.now() - timedelta(minutes=20))
    assert deliveries.count_late() == 1
    Endpoint.objects.update(created_at=timezone.now() - timedelta(hours=1))
    deliveries.distribute()
    assert deliveries.count_late() == 0
    Delivery.objects.update(next_at=timezone.now() - timedelta(minutes=20))
    assert deliveries.count_late() == 1
    Endpoint.objects.update(is_active=False)
    assert deliveries.count_late() == 0


@pytest.mark.parametrize(
    ("days", "state", "is_active", "is_removed"),
    [
        (31, "delivered", True, True),
        (31, "failed", True, True),
        (31, "pending", False, True),
        (31, "pending", True, False),
        (29, "delivered", True, False),
    ],
)
def test_old_events_go_with_their_log(order, consumer, days, state, is_active, is_removed):
    sending.run()
    Event.objects.update(distributed_at=timezone.now() - timedelta(days=days))
    Delivery.objects.update(state=state)
    Endpoint.objects.update(is_active=is_active)
    assert deliveries.clean() == is_removed
    assert [model.objects.count() for model in (Event, Delivery, Attempt)] == [int(not is_removed)] * 3


def test_old_events_go_in_small_portions(order, consumer, monkeypatch):
    monkeypatch.setattr(deliveries, "_PAGE", 2)
    for _ in range(4):
        services.pay_again(order, card=order.card.token)
    sending.run()
    Event.objects.update(distributed_at=timezone.now() - timedelta(days=31))
    assert deliveries.clean() == 5
    assert not Event.objects.exists()
