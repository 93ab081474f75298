"""A reveal in a real browser: two people, one number, and what is left of it when 30 seconds are over.

`SCREENSHOTS=docs/screenshots pytest tests/test_reveal_browser.py` takes the pictures of docs/who-sees-what.md as well;
there the number is the one that Visa publishes for tests.
"""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import expect

from tests import browsers
from tests.browsers import DESKTOP, PHONE, left_behind
from tests.cards import NUMBERS, grouped
from tests.factories import make_card, make_user, next_year
from tests.leaks import Sink
from tests.vault.admin.identity import FRESH
from vault import services
from vault.models import AuditEvent, RevealRequest
from vault.pan import PAN

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
LABEL = "revealed card"


@pytest.fixture(autouse=True)
def configured(settings):
    settings.VAULT = settings.VAULT | {
        "REVEAL_APPROVAL": True,
        "CONFIRM_IDENTITY": FRESH,
        "PURPOSES": ["settlement", "refund", "fraud-investigation", "dispute"],
    }


@pytest.fixture
def digits(leaks):
    digits = leaks.watch(NUMBERS["visa"][0], label=LABEL)
    leaks.allow(LABEL, sink="http", reason="the number is shown, and typed into the search")
    return digits


@pytest.fixture
def people():
    """Ada asks and Bob decides; an auditor looks on."""
    return {
        "ada": make_user("ada", "vault.view_card", "vault.detokenize_pan", "vault.search_pan", is_staff=True),
        "bob": make_user("bob", "vault.view_card", "vault.approve_reveal", is_staff=True),
        "auditor": make_user("auditor", "vault.view_auditevent", is_staff=True),
    }


@pytest.fixture
def pages(visit, people):
    """`pages("ada")` is a page in which Ada is signed in."""
    return lambda name: visit(people[name])


def shoot(page, name):
    for width, suffix in ((PHONE, "-narrow"), (DESKTOP, "")):
        page.set_viewport_size({"width": width, "height": 700})
        browsers.shoot(page, name + suffix)


def ask(page, card):
    page.goto(f"/admin/vault/card/{card.token.replace('_', '_5F')}/change/")
    page.get_by_label("Purpose").select_option("fraud-investigation")
    page.get_by_label("Reason").fill("The issuer asks for the full number of this chargeback")
    page.get_by_label("Ticket").fill("FRAUD-1207")
    page.get_by_label("Ticket").scroll_into_view_if_needed()
    shoot(page, "reveal-request")
    page.get_by_role("button", name="Ask for approval").click()
    page.get_by_text("Your request waits for somebody to approve it.").wait_for()


def approve(page):
    page.goto("/admin/vault/revealrequest/")
    shoot(page, "reveal-queue")
    page.locator("#result_list tbody th a").first.click()
    page.get_by_label("Note").fill("Chargeback is in the ticket")
    shoot(page, "reveal-approval")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("bob approved.").wait_for()


@pytest.fixture
def shown(pages, digits, leaks):
    """Ada's page at the moment when it shows the number, its clock standing still."""
    card = services.tokenize(PAN(digits), expires=next_year()).card
    ada = pages("ada")
    ask(ada, card)
    approve(pages("bob"))
    ada.reload()
    start = datetime.now(UTC)
    ada.clock.install(time=start)
    ada.clock.pause_at(start + timedelta(seconds=1))
    ada.get_by_role("button", name="Show the number once").click()
    expect(ada.locator("#vault-number")).to_have_text(grouped(digits, " "))
    # The number is in the answer; the countdown starts with the script, which runs after it and before "load".
    ada.wait_for_load_state("load")
    return ada


def test_two_people_one_number_thirty_seconds(shown, digits, leaks, complaints):
    readable = grouped(digits, " ")
    shoot(shown, "reveal-shown")
    leaks.record(Sink.BROWSER, left_behind(shown), "while it is shown")
    attributes = shown.evaluate(
        "() => [...document.querySelectorAll('*')].flatMap(e => [...e.attributes].map(a => a.value)).join('|')"
    )
    leaks.record(Sink.BROWSER, attributes, "attributes")
    shown.clock.fast_forward(29_000)
    expect(shown.locator("#vault-number")).to_have_text(readable)
    expect(shown.locator("#vault-seconds")).to_have_text("1")
    shown.clock.fast_forward(2_000)
    expect(shown.locator("#vault-number")).to_have_count(0)
    expect(shown.get_by_text("Hidden", exact=True)).to_be_visible()
    leaks.record(Sink.BROWSER, shown.content(), "page after 30 seconds")
    leaks.record(Sink.BROWSER, left_behind(shown), "after 30 seconds")
    leaks.record(Sink.BROWSER, complaints, "console")
    assert complaints == []
    assert RevealRequest.objects.get().state == "shown"


def test_a_reload_does_not_show_it_again(shown, digits, leaks):
    shown.reload()
    expect(shown.get_by_text("This request was decided or used already.")).to_be_visible()
    expect(shown.locator("#vault-number")).to_have_count(0)
    leaks.record(Sink.BROWSER, shown.content(), "page after a reload")
    assert AuditEvent.objects.filter(operation="detokenize", outcome="done").count() == 1


def test_back_does_not_show_it_again(shown, digits, leaks):
    shown.get_by_role("link", name="Back to the request").click()
    shown.get_by_text("ada saw the number.").wait_for()
    leaks.record(Sink.BROWSER, shown.content(), "page after leaving")
    # A page that came from a POST and may not be stored: Chromium asks before it sends it again.
    # Later, as the answer to this call would be lost with the page.
    shown.evaluate("() => { setTimeout(() => history.back(), 0) }")
    shown.wait_for_timeout(1_000)
    leaks.record(Sink.BROWSER, shown.content(), "page after Back")
    assert shown.locator("#vault-number").count() == 0
    assert AuditEvent.objects.filter(operation="detokenize", outcome="done").count() == 1


def test_it_is_hidden_with_its_tab(shown, leaks):
    shown.evaluate(
        """() => {
        Object.defineProperty(document, "visibilityState", {get: () => "hidden"});
        document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    expect(shown.locator("#vault-number")).to_have_count(0)
    leaks.record(Sink.BROWSER, shown.content(), "hidden tab")


def test_without_javascript_the_browser_leaves_by_itself(visit, people, digits, pages, monkeypatch):
    from vault.admin import reveals

    # The header is the product's; that it is 30 is for another test.
    monkeypatch.setattr(reveals, "SHOWN_SECONDS", 1)
    card = make_card(digits)
    ada = pages("ada")
    ask(ada, card)
    approve(pages("bob"))
    page = visit(people["ada"], java_script_enabled=False)
    page.goto(f"/admin/vault/revealrequest/{RevealRequest.objects.get().pk}/change/")
    page.get_by_role("button", name="Show the number once").click()
    page.get_by_text("ada saw the number.").wait_for()
    assert page.locator("#vault-number").count() == 0


def test_of_two_clicks_the_first_counts(pages, digits):
    card = make_card(digits)
    ada = pages("ada")
    ask(ada, card)
    approve(pages("bob"))
    ada.reload()
    ada.get_by_role("button", name="Show the number once").dblclick()
    expect(ada.locator("#vault-number")).to_have_text(grouped(digits, " "))


def test_a_card_is_found_by_its_number_and_back_shows_an_empty_field(pages, digits, leaks, complaints):
    make_card(digits)
    ada = pages("ada")
    ada.goto("/admin/vault/card/")
    ada.get_by_role("link", name="Find by card number").click()
    shoot(ada, "card-search")
    ada.get_by_label("Card number").fill(grouped(digits, " "))
    ada.get_by_role("button", name="Find the card").click()
    ada.get_by_text("Ask to see the number").wait_for()
    leaks.record(Sink.BROWSER, [ada.content(), left_behind(ada)], "page of the card")
    ada.go_back()
    assert ada.get_by_label("Card number").input_value() == ""
    leaks.record(Sink.BROWSER, [left_behind(ada), complaints], "page of the search")
    assert complaints == []


def test_break_glass_and_the_log_of_it(pages, digits, complaints):
    make_card(digits)
    ada = pages("ada")
    ada.goto("/admin/vault/card/")
    ada.locator("#result_list tbody th a").first.click()
    ada.get_by_label("Purpose").select_option("dispute")
    ada.get_by_label("Reason").fill("The acquirer waits on the phone")
    ada.get_by_label("Ticket").fill("INC-7")
    ada.get_by_role("button", name="Break-glass…").click()
    shoot(ada, "break-glass")
    ada.get_by_role("button", name="Break the glass").click()
    ada.get_by_role("button", name="Show the number once").click()
    expect(ada.locator("#vault-number")).to_be_visible()
    auditor = pages("auditor")
    auditor.goto("/admin/vault/auditevent/")
    expect(auditor.locator(".vault-alarm")).to_be_visible()
    shoot(auditor, "audit-log")
    auditor.locator("#result_list tbody th a").first.click()
    auditor.get_by_text("Its place in the chain").wait_for()
    shoot(auditor, "audit-event")
    assert complaints == []
    assert SessionStore.get_model_class().objects.count() == 2
