from datetime import timedelta

import pytest
from django.utils import timezone

from orders.feed import erasures
from orders.feed.models import Event
from tests.factories import make_card, make_user
from tests.orders.feed.making import make_endpoint
from vault import services
from vault.models import Card, ErasureCertificate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint():
    return make_endpoint(make_user("shop", "vault.view_card"), "https://shop.example/hook")


@pytest.fixture
def eraser():
    return make_user("eraser", "vault.erase_card")


def erase(card, eraser):
    return services.erase(card.token, actor=eraser, reason="The customer asked")


def certify_at(canary, moment, number):
    """An erasure with this moment on its certificate, whenever it is committed."""
    card = make_card(canary(f"card {number}"))
    Card.objects.filter(pk=card.pk).update(status="erased", erased_at=moment)
    return ErasureCertificate.objects.create(number=f"era_{number}", card=card, issued_at=moment)


def test_an_erasure_is_an_event_with_its_certificate_and_without_its_reason(endpoint, eraser, canary):
    card = make_card(digits := canary("card"))
    certificate = erase(card, eraser)
    assert (erasures.follow(), erasures.follow()) == (1, 0)
    event = Event.objects.get()
    assert (event.type, event.created_at) == ("card.erased", certificate.issued_at)
    assert event.payload == {
        "token": card.token,
        "brand": "visa",
        "last4": digits[-4:],
        "erased_at": Card.objects.get().erased_at.isoformat().replace("+00:00", "Z"),
        "certificate": certificate.number,
    }


def test_before_there_is_an_endpoint_nothing_is_followed(eraser, canary):
    erase(make_card(canary("before")), eraser)
    assert erasures.follow() == 0
    make_endpoint(make_user("shop", "vault.view_card"), "https://shop.example/hook")
    erase(make_card(canary("after")), eraser)
    assert erasures.follow() == 1


def test_one_that_is_committed_late_is_found(endpoint, canary):
    endpoint.created_at -= timedelta(days=1)
    endpoint.save()
    certify_at(canary, timezone.now(), 1)
    erasures.follow()
    certify_at(canary, timezone.now() - timedelta(minutes=50), 2)
    assert erasures.follow() == 1


def test_no_more_is_read_than_the_last_hour(endpoint, canary, django_assert_num_queries):
    endpoint.created_at -= timedelta(days=2)
    endpoint.save()
    for number in range(3):
        certify_at(canary, timezone.now() - timedelta(hours=2 + number), number)
    assert erasures.follow() == 3
    with django_assert_num_queries(4) as queries:
        erasures.follow()
    assert services.erasures(since=timezone.now() - timedelta(hours=1)) == []
    assert not any("orders_event" in query["sql"] for query in queries.captured_queries)


def test_pages_leave_nothing_out_where_moments_are_the_same(canary):
    now = timezone.now()
    for number in range(5):
        certify_at(canary, now, number)
    found, after = [], None
    while page := services.erasures(since=now, after=after, limit=2):
        found += [erasure.certificate for erasure in page]
        after = page[-1]
    assert found == [f"era_{number}" for number in range(5)]
