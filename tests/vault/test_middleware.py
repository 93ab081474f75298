import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from vault.exceptions import AuditUnavailable, CardErased, VaultSealed, VaultUnavailable
from vault.middleware import (
    OriginMiddleware,
    RefusePANInURLMiddleware,
    RefusePlainHTTPMiddleware,
    RequestOrigin,
    UnavailableMiddleware,
)


@pytest.fixture
def refuse():
    return RefusePANInURLMiddleware(lambda request: HttpResponse("through"))


def test_a_card_number_in_a_path_is_refused_and_not_repeated(refuse, canary):
    digits = canary("path")
    response = refuse(RequestFactory().get(f"/orders/{digits}/"))
    assert response.status_code == 400
    assert digits not in response.content.decode()


@pytest.mark.parametrize(
    "spell", [lambda d: d, lambda d: f"{d[:4]}+{d[4:8]}+{d[8:12]}+{d[12:]}", lambda d: "%3" + "%3".join(d)]
)
def test_a_page_asked_for_with_one_in_the_query_is_redirected_without_it(refuse, canary, spell):
    response = refuse(RequestFactory().get(f"/admin/orders/order/?q={spell(canary('query'))}"))
    assert (response.status_code, response["Location"]) == (302, "/admin/orders/order/")


@pytest.mark.parametrize(
    ("query", "rest"),
    [
        ("q={}&status=placed&placed_from=2026-01-01", "?status=placed&placed_from=2026-01-01"),
        ("name=Milk+jug&{}=1&q=&q=x+{}", "?name=Milk+jug"),
        ("{}&page=2", "?page=2"),
        ("q={}", ""),
    ],
)
def test_what_else_was_asked_for_is_kept(refuse, canary, query, rest):
    response = refuse(RequestFactory().get("/orders/?" + query.replace("{}", canary("query"))))
    assert (response.status_code, response["Location"]) == (302, f"/orders/{rest}")


def test_bytes_that_nobody_escaped_are_read_as_the_page_would_read_them(refuse, rf, canary):
    wide = "".join(chr(ord(digit) + ord("\uff10") - ord("0")) for digit in canary("query"))
    query = f"name=M\xf6hre&q={wide}".encode().decode("latin-1")
    response = refuse(rf.get("/orders/", QUERY_STRING=query))
    assert (response.status_code, response["Location"]) == (302, "/orders/?name=M%C3%B6hre")


@pytest.mark.parametrize(("method", "path"), [("post", "/orders/new/"), ("get", "/api/v1/orders/")])
def test_everything_else_is_refused(refuse, canary, method, path):
    response = getattr(RequestFactory(), method)(f"{path}?x={canary('query')}")
    assert refuse(response).status_code == 400


def test_other_addresses_pass(refuse):
    response = refuse(
        RequestFactory().get("/orders/ord_0b0e7a5c8f1d4c3b9a556f1e2d3c4b5a/?before=20260102T030405&page=12")
    )
    assert response.content == b"through"


def test_every_answer_names_its_request():
    middleware = OriginMiddleware(lambda request: HttpResponse())
    ids = {middleware(RequestFactory().get("/", headers={"Request-Id": "mine"}))["Request-Id"] for _ in range(2)}
    assert len(ids) == 2
    assert "mine" not in ids


@pytest.mark.parametrize(
    ("proxies", "forwarded", "source"),
    [
        (0, "6.6.6.6", "127.0.0.1"),
        (1, "6.6.6.6, 7.7.7.7", "7.7.7.7"),
        (2, "6.6.6.6, 7.7.7.7", "6.6.6.6"),
        (3, "7.7.7.7", "7.7.7.7"),
        (1, "", "127.0.0.1"),
    ],
)
def test_forwarded_addresses_are_believed_as_far_as_proxies_are_trusted(settings, proxies, forwarded, source):
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})
    assert RequestOrigin(request).source == source
    assert RequestOrigin(request).actor == "anonymous"


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example/"])
def test_the_redirect_stays_on_this_host(refuse, canary, path):
    request = RequestFactory().get("/", {"q": canary("query")})
    request.path = path
    location = refuse(request)["Location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize(
    ("method", "secure", "status"),
    [("post", False, 403), ("put", False, 403), ("post", True, 200), ("get", False, 200)],
)
def test_what_is_sent_over_plain_http_is_refused_and_not_redirected(canary, method, secure, status):
    seen = []
    middleware = RefusePlainHTTPMiddleware(lambda request: HttpResponse(seen.append(request)))
    request = getattr(RequestFactory(), method)(
        "/orders/new/", {"number": canary("plain")} if method != "put" else None, secure=secure
    )
    assert middleware(request).status_code == status
    assert bool(seen) is (status == 200)


@pytest.mark.django_db
@pytest.mark.parametrize("error", [AuditUnavailable, VaultSealed, VaultUnavailable])
def test_what_a_page_needs_and_does_not_have_is_said(client, error):
    request = client.get("/healthz").wsgi_request
    answer = UnavailableMiddleware(lambda _: HttpResponse()).process_exception(request, error())
    assert answer.status_code == 503
    assert "no-store" in answer["Cache-Control"]
    assert "Not possible now" in answer.text


@pytest.mark.parametrize("error", [CardErased(), KeyError("x")])
def test_other_errors_are_left_to_others(rf, error):
    assert UnavailableMiddleware(lambda _: HttpResponse()).process_exception(rf.get("/"), error) is None


@pytest.mark.parametrize(
    "form", ["{}", "fe80::1%{}", "a proxy, or so it says, that puts much before the number {}", "192.0.2.7:443"]
)
def test_what_is_no_address_is_not_recorded_as_one(settings, rf, canary, form):
    settings.TRUSTED_PROXIES = 1
    request = rf.get("/", HTTP_X_FORWARDED_FOR=form.format(canary("header")))
    assert RequestOrigin(request).source == ("fe80::1" if "%" in form else "")
