from datetime import date
from types import SimpleNamespace

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, serializers

from tests.shop.models import Purchase
from vault import exceptions as states
from vault.api.fields import ExpirySerializerField, PANSerializerField, TokenSerializerField
from vault.api.problems import problem_response
from vault.pan import PAN
from vault.tokens import Token


@pytest.mark.parametrize("bad", ["", "4x", "41", 4, 4.5, None, [], {}, True])
@pytest.mark.parametrize("field", [PANSerializerField, TokenSerializerField, ExpirySerializerField])
def test_bad_values_are_refused_with_constants(field, bad):
    with pytest.raises(serializers.ValidationError) as caught:
        field().run_validation(bad)
    assert "4x" not in str(caught.value)


def test_good_values(canary):
    digits, token = canary("api"), Token.generate()
    assert PANSerializerField().run_validation(digits) == PAN(digits)
    assert PANSerializerField().to_representation(PAN(digits)) == {"brand": "visa", "last4": digits[-4:]}
    assert TokenSerializerField().run_validation(token.text) == token
    assert TokenSerializerField().to_representation(token) == token.text
    assert ExpirySerializerField().run_validation("2099-12") == date(2099, 12, 31)
    assert ExpirySerializerField().to_representation(date(2099, 12, 31)) == "2099-12"
    with pytest.raises(serializers.ValidationError):
        ExpirySerializerField().run_validation("2020-01")


@pytest.mark.django_db
def test_a_model_serializer_takes_numbers_and_gives_cards(canary):
    class PurchaseSerializer(serializers.ModelSerializer):
        class Meta:
            model = Purchase
            fields = ("card",)

    serializer = PurchaseSerializer(data={"card": canary("api")})
    serializer.is_valid(raise_exception=True)
    purchase = serializer.save()
    assert PurchaseSerializer(purchase).data["card"]["token"] == purchase.card.token.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (states.TokenNotFound(), 404, "not_found"),
        (states.InvalidToken(), 404, "not_found"),
        (states.CardErased(), 410, "card_erased"),
        (states.DetokenizationDenied(), 403, "detokenization_denied"),
        (states.AccessDenied(states.Refusal.LOCKED), 403, "access_denied"),
        (states.VaultSealed(), 503, "vault_sealed"),
        (states.VaultUnavailable(), 503, "vault_unavailable"),
        (states.NotTokenized(), 500, "vault_error"),
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
        (exceptions.ParseError("4x"), 400, "malformed"),
        (exceptions.Throttled(wait=3), 429, "throttled"),
    ],
)
def test_errors_are_problem_details(error, status, code):
    response = problem_response(error, {})
    assert (response.status_code, response.data["code"], response.data["status"]) == (status, code, status)
    assert "4x" not in str(response.data)


def test_field_errors_have_pointers():
    error = exceptions.ValidationError({"rows": [{}, {"pan": ["x"]}], "non_field_errors": ["y"]})
    pointers = [each["pointer"] for each in problem_response(error, SimpleNamespace()).data["errors"]]
    assert pointers == ["/rows/1/pan", ""]
    assert problem_response(KeyError(), {}) is None
