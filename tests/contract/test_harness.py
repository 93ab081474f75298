"""The harness finds what is wrong: each of these is an application with one fault."""

import pytest
from rest_framework.response import Response

from tests.cards import NUMBERS
from tests.contract.accounts import ALL_RIGHTS, credentials_of, make_account
from tests.contract.harness import explore
from tests.contract.stock import Stock
from tests.factories import make_user
from vault.api import views
from vault.api.base import APIView
from vault.api.serializers import StrictSerializer, TokenSerializer

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:Generating overly large repr")]

TOKENS, TOKEN = "/api/v1/tokens/", "/api/v1/tokens/{token}/"
SEARCH = "/api/v1/tokens/search/"


def with_header(name, value):
    original = APIView.finalize_response

    def finalize_response(self, *args, **kwargs):
        answer = original(self, *args, **kwargs)
        answer[name] = value
        return answer

    return finalize_response


def fail(self, *args, **kwargs):
    raise RuntimeError


def pass_over(self, data):
    return super(StrictSerializer, self).to_internal_value(data)


def without_brand(self, instance):
    said = super(TokenSerializer, self).to_representation(instance)
    said.pop("brand")
    return said


FAULTS = {
    "an error of ours": ("not_a_server_error", TOKEN, views.TokenView, "get", fail),
    "a status that is not described": (
        "status_code_conformance",
        TOKEN,
        views.TokenView,
        "get",
        lambda self, request, token: Response({}, status=202),
    ),
    "a field that is missing": (
        "response_schema_conformance",
        TOKEN,
        TokenSerializer,
        "to_representation",
        without_brand,
    ),
    "a header of another form": (
        "response_headers_conformance",
        TOKEN,
        APIView,
        "finalize_response",
        with_header("ETag", "W/0"),
    ),
    "an answer that may be stored": (
        "not_stored",
        TOKEN,
        APIView,
        "finalize_response",
        with_header("Cache-Control", "public"),
    ),
    "what is not known is passed over": (
        "negative_data_rejection",
        TOKENS,
        StrictSerializer,
        "to_internal_value",
        pass_over,
    ),
    "no permission is asked for": ("ignored_auth", TOKEN, views.TokenView, "get_permissions", lambda self: []),
    "a card number in a header": (
        "no_card_number",
        SEARCH,
        APIView,
        "finalize_response",
        with_header("X-Card", NUMBERS["jcb"][1]),
    ),
}


@pytest.mark.parametrize(("check", "path", "owner", "name", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found(monkeypatch, check, path, owner, name, fault):
    account = make_account(ALL_RIGHTS)
    stock = Stock(account, make_user("somebody"))
    monkeypatch.setattr(owner, name, fault)
    report = explore(
        headers=credentials_of(account), examples=3, stock=stock, phases=("coverage", "fuzzing"), only=path
    )
    assert f": {check}: " in str(report)
