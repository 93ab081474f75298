"""Forms as no browser sends them, and texts that are written to break what reads them (trials B3, B6, B9)."""

import json
import tracemalloc

import pytest
from django.contrib.auth.models import User
from django.core import mail

from orders.models import Order
from tests.billing.people import PASSWORD
from tests.factories import client_of, make_card, make_user
from tests.hostile.test_form_fields import attempt
from tests.hostile.visitors import VISITORS, forms_shown
from vault.models import AuditEvent

pytestmark = [pytest.mark.django_db, pytest.mark.long]
FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"


def part(name, content=b"x", more=b""):
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + content + b"\r\n"


BODIES = {
    "10,000 fields": (b"&".join(b"a%d=1" % number for number in range(10_000)), FORM),
    "10,000 times one": (b"name=x&" * 10_000, FORM),
    "10,000 parts": (b"".join(part(b"a%d" % number) for number in range(10_000)) + b"--b--\r\n", PARTS),
    "10,000 files": (b"".join(part(b"f", more=b'; filename="x"') for _ in range(10_000)) + b"--b--\r\n", PARTS),
    "2 MiB": (b"name=" + b"x" * 2 * 1024 * 1024, FORM),
    "2 MiB in a part": (part(b"name", b"x" * 2 * 1024 * 1024) + b"--b--\r\n", PARTS),
    "a boundary that never comes": (part(b"name") * 3, PARTS),
    "no boundary": (b"--b", "multipart/form-data"),
    "a long boundary": (b"--b", "multipart/form-data; boundary=" + "b" * 10_000),
    "a part without a name": (b"--b\r\n\r\nx\r\n--b--\r\n", PARTS),
    "base64 that is none": (
        part(b"name", b"\xff" * 99, b"\r\nContent-Transfer-Encoding: base64") + b"--b--\r\n",
        PARTS,
    ),
    "invalid UTF-8": (b"name=%FF%FE&email=%FF&login=%FF&q=%FF", FORM),
    "surrogates": (b"name=%ED%A0%80&email=%ED%A0%80&login=%ED%A0%80&nickname=%ED%A0%80", FORM),
    "NUL": (b"name=%00&email=%00&login=%00&password=%00&nickname=%00&code=%00&note=%00&reason=%00", FORM),
    "NUL as a name": (b"%00=1", FORM),
    "another charset": (b"name=\xe9", "application/x-www-form-urlencoded; charset=utf-7"),
    "a charset that is none": (b"name=\xe9", "application/x-www-form-urlencoded; charset=nonsense"),
    "JSON": (b'{"name": 1}', "application/json"),
    "brackets": (b"a[b][c]=1&a[]=2&__proto__=3", FORM),
}
TEXTS = {
    "NUL": "a\x00b",
    "controls": "a\x01\x1b[31m\x7f\x85b",
    "four bytes": "\U0001f4b3" * 30,
    "direction": "\u202ea\u202c\u2066\u200b",
    "combining": "e" + "\u0301" * 50,
    "lines": "a\r\nBcc: evil@example.com\r\n\r\nb\u2028c\u2029d",
    "very long": "x" * 20_000,
    "SQL": "'; DROP TABLE orders_order; -- \" \\",
    "template": "{{ 7|add:7 }}{% load static %}${7*7}%(name)s{0}",
    "HTML": "<script>x</script><img src=x onerror=x>\"'>",
    "a number that is too large": "9" * 40,
    "not a number": "NaN",
    "a date that is none": "0000-00-00",
}
STAFF = pytest.param("staff", marks=pytest.mark.either)
WHO = [*(who for who in VISITORS if who != "staff"), STAFF]


@pytest.mark.parametrize("who", WHO)
def test_a_form_that_no_browser_sends_is_refused_and_never_an_error(stage, who):
    visitor = VISITORS[who](stage)
    client, wrong = visitor[0], []
    client.raise_request_exception = False
    cases = BODIES if who != "staff" else {name: BODIES[name] for name in ("10,000 fields", "NUL", "no boundary")}
    for action in dict.fromkeys(form.action for form in forms_shown(visitor) if form.method == "post"):
        if action.endswith("/logout/"):
            continue
        for case, (body, kind) in cases.items():
            answer = client.generic("POST", action, body, content_type=kind)
            is_large = case.startswith(("10,000", "2 MiB"))
            # The scene has a key that the vault does not, so that nothing can be erased there.
            if answer.status_code not in (200, 302, 400, 403, 404, 413, 429, 503) or (
                is_large and answer.status_code not in (400, 403, 413)
            ):
                wrong.append(f"{action}: {case}: {answer.status_code}")
    assert wrong == []


@pytest.mark.parametrize("who", WHO)
def test_a_text_that_is_written_to_break_something_breaks_nothing(stage, who):
    visitor = VISITORS[who](stage)
    client, wrong = visitor[0], []
    client.raise_request_exception = False
    # Of staff there are many forms: what has broken one before, or databases.
    texts = ("NUL", "four bytes", "HTML", "a number that is too large") if who == "staff" else tuple(TEXTS)
    for form in forms_shown(visitor):
        names = [name for name, kind in form.kinds.items() if kind not in ("submit", "file") and "csrf" not in name]
        for case in texts if names else ():
            answer, _ = attempt(client, form, dict.fromkeys(names, TEXTS[case]))
            body = answer.text
            if answer.status_code >= 500 or "<script>x" in body or "onerror=x>" in body:
                wrong.append(f"{form.method} {form.action}: {case}: {answer.status_code}")
    assert wrong == []


@pytest.mark.either
def test_the_memory_is_flat_when_a_large_form_is_sent(client):
    client.force_login(make_user())
    client.get("/orders/new/")
    body = b"name=" + b"x" * 20 * 1024 * 1024
    tracemalloc.start()
    answer = client.generic("POST", "/orders/new/", body, content_type=FORM)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code in (400, 413)
    # Django's client for tests makes a copy of it, and nobody makes another.
    assert peak < len(body) + 4 * 1024 * 1024


# --- What was kept, wherever it is shown (trial B6) --------------------------------------------------------------------

# As long as the shortest column of them takes.
EVIL = "<b0mb x=\"'>{{ 7|add:7 }}'; DROP TABLE x"


def test_a_hostile_text_is_shown_as_it_was_typed_on_every_page(stage):
    Order.objects.update(name=EVIL, description=EVIL)
    stage.saved.__class__.objects.update(nickname=EVIL)
    User.objects.filter(pk=stage.customer.pk).update(first_name=EVIL, last_name=EVIL)
    type(stage.group).objects.filter(pk=stage.group.pk).update(name=EVIL)
    type(stage.filter).objects.filter(pk=stage.filter.pk).update(name=EVIL)
    shown = set()
    for who in ("customer", "staff"):
        client, pages = VISITORS[who](stage)
        for page in pages:
            answer = client.get(page)
            if answer.status_code != 200:
                continue
            assert "<b0mb" not in answer.text, page
            if "&lt;b0mb" in answer.text:
                assert "{{ 7|add:7 }}" in answer.text, page
                shown.add(page)
    assert len(shown) > 8


LINES = "charged twice\r\nFAKE 200 OK\u2028x\u2029y\x1b[2Jz\x0bw\x85v"


@pytest.mark.either
def test_a_reason_in_many_lines_is_one_line_of_the_audit_log(canary, capsys):
    card, eve = make_card(canary("card")), make_user("eve", "vault.erase_card")
    capsys.readouterr()
    answer = client_of(eve).delete(f"/api/v1/tokens/{card.token}/", {"reason": LINES})
    assert answer.status_code == 200
    said = capsys.readouterr().out
    written = [json.loads(line) for line in said.splitlines()]
    assert {event["reason"] for event in written if event["operation"] == "erase"} == {LINES.strip()}
    assert "\x1b" not in said
    assert len(written) == AuditEvent.objects.filter(pk__in=[event["row"] for event in written]).count()


@pytest.mark.either
@pytest.mark.parametrize(
    "address", ["a@example.com\r\nBcc: evil@example.com", "a@example.com\nSubject: x", "a\r\n@example.com"]
)
@pytest.mark.parametrize("page", ["/accounts/signup/", "/accounts/password/reset/"])
def test_an_address_adds_no_header_to_a_mail(client, page, address):
    sent = {"email": address, "password1": PASSWORD, "password2": PASSWORD}
    assert client.post(page, sent).status_code in (200, 302)
    assert not [message for message in mail.outbox if "evil" in str(message.message())]
    assert not [message for message in mail.outbox if message.bcc or message.cc]


# --- What every page says to the browser (trial B9) --------------------------------------------------------------------

SAID = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.mark.either
@pytest.mark.parametrize("who", ["nobody", "customer", "secured", "staff"])
def test_every_page_says_what_browsers_may_do_with_it(stage, who):
    client, pages = VISITORS[who](stage)
    wrong = []
    for page in pages:
        answer = client.get(page)
        policy = answer.headers.get("Content-Security-Policy", "")
        missing = [name for name, value in SAID.items() if answer.headers.get(name) != value]
        if (
            not {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))
            or "unsafe" in policy
        ):
            missing.append("Content-Security-Policy")
        if (
            who != "nobody"
            and not page.startswith("/api/")
            and "no-store" not in answer.headers.get("Cache-Control", "")
        ):
            missing.append("Cache-Control")
        if missing:
            wrong.append(f"{page}: {answer.status_code}: {missing}")
    assert wrong == []
