"""The page of a card: who uses it, and what became of it, as far as somebody may know."""

import pytest

from tests.factories import make_card, make_order, make_orders, make_user
from tests.vault.admin.visitors import change_page, detail, signed_in
from vault import reveals, services
from vault.models import AuditEvent

pytestmark = pytest.mark.django_db


def history(card):
    return change_page(card).replace("/change/", "/history/")


def signed(name, *rights):
    return signed_in(make_user(name, *rights, is_staff=True))


def test_the_page_leads_to_orders_and_saved_cards(wire, kept):
    grace = make_user("grace")
    order, saved = make_order(grace, kept), grace.saved_cards.create(card=kept)
    wire.calls.clear()
    page = signed("clerk", "vault.view_card", "orders.view_order", "orders.view_savedcard").get(change_page(kept)).text
    assert f'<a href="/admin/orders/order/{order.pk}/change/">{order.public_id} · Milk jug' in page
    assert f'<a href="/admin/orders/savedcard/{saved.pk}/change/">grace@example.com</a>' in page
    assert "All of them" not in page
    assert not wire.calls


def test_not_to_those_that_somebody_may_not_see(kept):
    order = make_order(make_user("grace"), kept)
    page = signed("clerk", "vault.view_card").get(change_page(kept)).text
    assert order.public_id not in page
    assert "Nothing that you may see." in page


def test_of_many_the_newest_are_shown_with_a_way_to_all(kept, django_assert_max_num_queries, canary):
    orders = make_orders(30, make_user("grace"), kept)
    other = make_order(make_user("carl"), make_card(canary("other")))
    client = signed("clerk", "vault.view_card", "orders.view_order")
    with django_assert_max_num_queries(27):
        page = client.get(change_page(kept)).text
    assert page.count("· Milk jug") == 10
    everything = client.get(f"/admin/orders/order/?card__exact={kept.token}").text
    assert f'href="/admin/orders/order/?card__exact={kept.token}"' in page
    assert all(order.public_id in everything for order in orders)
    assert other.public_id not in everything


def test_a_name_is_escaped(kept):
    make_order(make_user("grace"), kept, name="<b>Jug</b>")
    page = signed("clerk", "vault.view_card", "orders.view_order").get(change_page(kept)).text
    assert "&lt;b&gt;Jug&lt;/b&gt;" in page


def test_the_history_has_requests_and_what_became_of_them(approved, kept, ada, digits, wire):
    reveals.show(approved, actor=ada)
    wire.calls.clear()
    page = signed("fay", "vault.view_card", "vault.view_revealrequest").get(history(kept)).text
    for said in ("The card was stored.", "Asked to see the number (T-1).", "Approved that.", "Saw the number."):
        assert said in page
    assert f'href="{detail(approved)}"' in page
    assert digits not in page
    assert kept.masked in page
    assert not wire.calls


def test_and_the_erasure_with_its_certificate(kept):
    certificate = services.erase(kept.token, actor=make_user("sue", "vault.erase_card"), reason="Asked for it")
    page = signed("al", "vault.view_card", "vault.view_erasurecertificate").get(history(kept)).text
    assert "The card was erased." in page
    assert certificate.number.replace("_", "_5F") in page
    assert "/erasurecertificate/" not in signed("clerk", "vault.view_card").get(history(kept)).text


def test_whoever_may_not_see_requests_sees_none_there(asked, kept):
    page = signed("clerk", "vault.view_card").get(history(kept)).text
    assert "The card was stored." in page
    assert "T-1" not in page
    assert "/auditevent/" not in page


def test_auditors_are_led_to_the_log_where_reading_is_recorded(kept):
    client = signed("al", "vault.view_card", "vault.view_auditevent")
    address = f"/admin/vault/auditevent/?q={kept.token}"
    assert f'href="{address}"' in client.get(history(kept)).text
    assert not AuditEvent.objects.filter(operation="audit.read").exists()
    assert kept.token in client.get(address).text
    assert AuditEvent.objects.filter(operation="audit.read", outcome="done").count() == 1


def test_it_takes_the_right_to_see_cards(kept, digits):
    answer = signed("carl").get(history(kept))
    assert answer.status_code == 403
    assert digits[-4:] not in answer.text
    assert signed("clerk", "vault.view_card").get("/admin/vault/card/tok1_x/history/").status_code == 404
