"""The start page of the admin in a real Chromium: full, narrow and wide, light and dark, with and without JavaScript."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone
from playwright.sync_api import expect

from tests.browsers import DESKTOP, PHONE, check_page, shoot
from tests.factories import make_card, make_order, make_user
from vault.audit import record
from vault.models import Incident, Key, Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
ARN = "arn:aws:kms:eu-central-1:000000000000:key/0381680b-1a46-4f0b-8e9c-f470a3a4d531"


@pytest.fixture
def staff(canary):
    """Sees all there is; and there is something of everything, a key that is too old among it."""
    user = make_user("sue", "orders.view_order", "orders.view_delivery", is_staff=True)
    user.groups.set(Group.objects.all())
    customer, token, now = make_user("carla"), make_card(canary("card")).token, timezone.now()
    for days in (0, 0, 3, 9, 9, 9, 20):
        make_order(customer, token, placed_at=now - timedelta(days=days))
    for purpose in ("refund", "refund", "fraud-investigation"):
        record("detokenize", purpose=purpose, cards=1)
    record("api.sign_in", outcome="denied")
    record("reveal.alarm", is_alarm=True)
    Key.objects.create(purpose="card", number=2, arn=ARN, state="active", created_at=now - timedelta(days=200))
    Key.objects.create(purpose="fingerprint", number=2, arn=ARN, state="active", created_at=now - timedelta(days=400))
    Run.objects.create(operation="fsck", state="failed")
    Incident.objects.create(source="orders.Order.description")
    return user


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_console_is_in_order_and_its_tables_open(staff, visit, complaints, width, has_scripts):
    page = visit(staff, width=width, java_script_enabled=has_scripts)
    page.goto("/admin/")
    for number, summary in enumerate(page.get_by_text("As a table").all(), start=1):
        summary.press("Enter")
        expect(page.locator("details[open] tbody tr")).to_have_count(30 * number)
    if has_scripts:
        check_page(page)
    shoot(page, f"console-{width}")
    assert complaints == []


def test_bars_are_drawn_as_long_as_what_they_count(staff, visit):
    page = visit(staff)
    page.goto("/admin/")
    plot = page.get_by_role("img", name="Orders per day").bounding_box()
    bars = [bar.bounding_box() for bar in page.get_by_role("img", name="Orders per day").locator(".console-bar").all()]
    heights = [round(bar["height"] / plot["height"] * 4) if bar else 0 for bar in bars]
    assert (len(bars), heights[-1], heights[-4], heights[-10], heights[-21], sum(heights)) == (30, 2, 1, 3, 1, 7)
    assert all(plot["x"] <= bar["x"] and bar["x"] + bar["width"] <= plot["x"] + plot["width"] for bar in bars if bar)


def test_a_count_leads_to_its_list(staff, visit):
    page = visit(staff)
    page.goto("/admin/")
    page.get_by_role("link", name="2 Orders today").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
