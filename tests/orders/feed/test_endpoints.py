import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from orders.feed import endpoints, sending
from orders.feed.models import Delivery, Endpoint, Event
from orders.feed.signing import shown_secret, signed_headers
from tests.factories import make_user
from tests.orders.feed.consumers import Got, consumer, is_signed
from tests.orders.feed.making import make_endpoint, place
from vault.exceptions import AuditUnavailable
from vault.models import AuditEvent

__all__ = ["consumer"]
pytestmark = pytest.mark.django_db
URL = "https://shop.example/hook"


@pytest.fixture
def account():
    return make_user("shop")


@pytest.fixture
def endpoint(account):
    return make_endpoint(account, URL)


@pytest.fixture
def webhook(capsys):
    """Run the command; what it printed, the events on stderr left out."""

    def run(*arguments):
        capsys.readouterr()
        call_command("webhook", *arguments)
        return capsys.readouterr().out.splitlines()

    return run


# --- Addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [URL, "https://shop.example:8443/a/b?c=d", "https://[2001:db8::1]/", "http://127.0.0.1:8080/", "http://[::1]/"],
)
def test_an_endpoint_may_be_at(account, url):
    assert make_endpoint(account, url).url == url


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("http://shop.example/", endpoints.NOT_HTTPS),
        ("http://127.0.0.1.shop.example/", endpoints.NOT_HTTPS),
        ("http://localhost/", endpoints.NOT_HTTPS),
        ("ftp://shop.example/", endpoints.NOT_HTTPS),
        ("file:///etc/passwd", endpoints.NOT_HTTPS),
        ("shop.example", endpoints.NOT_HTTPS),
        ("", endpoints.NOT_HTTPS),
        ("https://", endpoints.UNREADABLE),
        ("https://shop.example:99999/", endpoints.UNREADABLE),
        ("https://shop.example:x/", endpoints.UNREADABLE),
        ("https://[::1/", endpoints.UNREADABLE),
        ("https://shop.example/a b", endpoints.UNREADABLE),
        ("https://shop.example/\r\nx: y", endpoints.UNREADABLE),
        ("https://shop.example\\@evil.example/", endpoints.UNREADABLE),
        ("https://shöp.example/", endpoints.UNREADABLE),
        (f"https://shop.example/{'x' * 500}", endpoints.UNREADABLE),
        ("https://ada:secret@shop.example/", endpoints.CREDENTIALS),
        ("https://ada@shop.example/", endpoints.CREDENTIALS),
        ("https://shop.example/#part", endpoints.CREDENTIALS),
    ],
)
def test_an_endpoint_is_not_at(account, url, refusal):
    with pytest.raises(endpoints.EndpointRefused, match=refusal):
        make_endpoint(account, url)
    assert not Endpoint.objects.exists()
    assert not AuditEvent.objects.filter(operation="webhook.add").exists()


def test_http_to_this_machine_is_for_laptops(account, settings):
    settings.WEBHOOKS_HTTP_ON_LOOPBACK = False
    with pytest.raises(endpoints.EndpointRefused, match=endpoints.NOT_HTTPS):
        make_endpoint(account, "http://127.0.0.1/")


@pytest.mark.parametrize("hide", [str, lambda digits: "".join(f"%{ord(each):x}" for each in digits)])
def test_a_card_number_is_no_part_of_an_address(account, canary, hide):
    with pytest.raises(endpoints.EndpointRefused, match=endpoints.CARD_NUMBER):
        make_endpoint(account, f"https://shop.example/{hide(canary('address'))}")
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("fields", [{"is_staff": True}, {"is_superuser": True}, {"is_active": False}], ids=str)
def test_an_endpoint_is_not_for(fields):
    with pytest.raises(endpoints.EndpointRefused):
        make_endpoint(make_user("somebody", **fields), URL)
    assert not Endpoint.objects.exists()


# --- Secrets --------------------------------------------------------------------------------------------------------


def signed(endpoint, now=None):
    headers = signed_headers(endpoint, message_id="evt_x", body=b"{}", now=now or timezone.now())
    return Got("/", headers, b"{}")


def test_a_signature_is_that_of_the_specification(endpoint, settings):
    now = timezone.now()
    # Worked out with nothing of Django's or of ours: HMAC of a text, under the SHA-256 of the salt and the secret key.
    key = hashlib.sha256(b"orders.feed.secret" + settings.SECRET_KEY.encode()).digest()
    secret = hmac.new(key, f"{endpoint.public_id}:1".encode(), hashlib.sha256).digest()
    content = f"evt_x.{int(now.timestamp())}.{{}}".encode()
    expected = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    assert signed(endpoint, now).headers["webhook-signature"] == f"v1,{expected}"
    assert shown_secret(endpoint) == "whsec_" + base64.b64encode(secret).decode()


def test_the_vector_of_the_specification_is_accepted_by_the_tests_own_verification():
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert is_signed(Got("/", headers, b'{"test": 2432232314}'), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def test_every_endpoint_has_a_secret_of_its_own_and_none_is_stored(endpoint, account):
    other = make_endpoint(account, URL)
    assert not is_signed(signed(endpoint), shown_secret(other))
    stored = str(list(Endpoint.objects.values())) + str(list(AuditEvent.objects.values()))
    assert shown_secret(endpoint).removeprefix("whsec_") not in stored


def test_after_a_rotation_both_secrets_count_for_a_day(endpoint):
    before = shown_secret(endpoint)
    endpoints.rotate(endpoint)
    after = shown_secret(endpoint)
    assert is_signed(signed(endpoint), before)
    assert is_signed(signed(endpoint), after)
    tomorrow = signed(endpoint, timezone.now() + timedelta(hours=24, seconds=1))
    assert is_signed(tomorrow, after)
    assert not is_signed(tomorrow, before)


def test_a_secret_that_leaked_counts_no_more_at_once(endpoint):
    before = shown_secret(endpoint)
    endpoints.rotate(endpoint, at_once=True)
    assert not is_signed(signed(endpoint), before)


def test_another_secret_key_leaves_consumers_time(endpoint, settings):
    before = shown_secret(endpoint)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert is_signed(signed(endpoint), before)
    assert is_signed(signed(endpoint), shown_secret(endpoint))
    assert shown_secret(endpoint) != before
    settings.SECRET_KEY_FALLBACKS = []
    assert not is_signed(signed(endpoint), before)


# --- The command ----------------------------------------------------------------------------------------------------


def test_add_shows_the_secret_once_and_records_no_secret(webhook, account):
    name, secret = webhook("add", "shop", f"{URL}?key=own", "--types", "order.placed,card.erased")
    endpoint = Endpoint.objects.get()
    assert (name, secret) == (endpoint.public_id, shown_secret(endpoint))
    assert endpoint.types == ["card.erased", "order.placed"]
    event = AuditEvent.objects.get(operation="webhook.add", outcome="done")
    assert event.subject == f"user:{account.pk}"
    assert event.details == {"endpoint": name, "host": "shop.example", "types": ["card.erased", "order.placed"]}
    (line,) = webhook("list")
    assert line == f"{name}  active    shop  {URL}  card.erased,order.placed"


def test_rotate_disable_and_enable_are_recorded(webhook, endpoint):
    before = shown_secret(endpoint)
    assert webhook("rotate", endpoint.public_id)[1] not in {before, ""}
    webhook("disable", endpoint.public_id)
    assert "disabled" in webhook("list")[0]
    webhook("enable", endpoint.public_id)
    done = AuditEvent.objects.filter(operation__startswith="webhook.", outcome="done").order_by("pk")
    assert [event.operation.partition(".")[2] for event in done] == ["add", "rotate", "disable", "enable"]


def test_what_cannot_be_recorded_is_not_done(endpoint, monkeypatch):
    monkeypatch.setattr("vault.audit.events._logger.disabled", True)
    for act in (endpoints.rotate, endpoints.disable):
        with pytest.raises(AuditUnavailable):
            act(endpoint)
    with pytest.raises(AuditUnavailable):
        make_endpoint(endpoint.account, URL)
    endpoint.refresh_from_db()
    assert (Endpoint.objects.count(), endpoint.generation, endpoint.is_active) == (1, 1, True)


def test_resend_and_log(webhook, account, consumer, canary):
    endpoint = make_endpoint(account, f"{consumer.url}/500")
    place(account, canary("order"))
    sending.run()
    event = Event.objects.get()
    assert webhook("resend", "--failed") == ["0 to be sent again"]
    Delivery.objects.update(state="failed")
    assert webhook("resend", "--failed") == ["1 to be sent again"]
    Endpoint.objects.update(url=f"{consumer.url}/204")
    call_command("send_events")
    assert webhook("resend", event.public_id) == ["1 to be sent again"]
    latest, first = webhook("log", endpoint.public_id)
    assert "  204  " in latest
    assert "  500  " in first
    assert event.public_id in first


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "nobody", URL],
        ["add", "shop", "http://shop.example/"],
        ["add", "shop", URL, "--types", "order.lost"],
        ["rotate", "end_nothing"],
        ["resend"],
        ["resend", "evt_nothing"],
        ["resend", "evt_nothing", "--failed"],
        ["dance"],
    ],
    ids=" ".join,
)
def test_what_is_refused(account, arguments):
    with pytest.raises(CommandError):
        call_command("webhook", *arguments)
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("act", ["add", "rotate", "resend", "log"])
def test_a_card_number_among_the_arguments_reaches_no_sql(account, canary, act, django_assert_num_queries):
    arguments = [canary("argument"), *([URL] if act == "add" else [])]
    with django_assert_num_queries(0), pytest.raises(CommandError):
        call_command("webhook", act, *arguments)


def test_send_events_counts_and_checks(account, consumer, canary, capsys):
    make_endpoint(account, f"{consumer.url}/204")
    place(account, canary("order"))
    call_command("send_events", "--check")
    Event.objects.update(created_at=timezone.now() - timedelta(minutes=20))
    with pytest.raises(CommandError) as late:
        call_command("send_events", "--check")
    assert late.value.returncode == 2
    Event.objects.update(created_at=timezone.now())
    call_command("send_events", "--limit", "5")
    assert "1 events, 1 delivered, 0 postponed" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--for", "nan"], ["--for", "inf"], ["--for", "-1"], ["--limit", "0"]])
def test_send_events_refuses_what_would_have_no_end(account, arguments, monkeypatch):
    monkeypatch.setattr(sending, "run", lambda **_: pytest.fail("It ran."))
    with pytest.raises(CommandError, match="takes a positive number"):
        call_command("send_events", *arguments)
