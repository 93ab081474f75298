"""`/api/v1/tokens/`: card numbers in, tokens out, and back for those with the right, a purpose and a budget."""

from __future__ import annotations

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from vault import services
from vault.api.permissions import MayTokenize, MayViewCard
from vault.api.serializers import (
    CertificateSerializer,
    DetokenizationSerializer,
    ErasureSerializer,
    KeptTokenSerializer,
    NewTokenSerializer,
    RevealedSerializer,
    SearchSerializer,
    TokenSerializer,
)
from vault.evidence import document
from vault.exceptions import TokenNotFound
from vault.purposes import Purpose


class TokenListView(APIView):
    permission_classes = [IsAuthenticated, MayTokenize]

    @sensitive_variables()
    @extend_schema(request=NewTokenSerializer, responses={200: KeptTokenSerializer, 201: KeptTokenSerializer})
    def post(self, request: Request) -> Response:
        """Keep a card. 201 for a new one; 200 if it is known, with the token it has and an expiry that was given.

        `result` says which, and whether the expiry is another one than before.
        """
        body = NewTokenSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        kept = services.tokenize(body.validated_data["pan"], expires=body.validated_data.get("expires"))
        is_new = kept.status is services.Status.CREATED
        answer = TokenSerializer(kept.card).data | {"result": kept.status.value}
        return Response(answer, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class TokenView(APIView):
    def get_permissions(self) -> list[Any]:
        """For an erasure the service decides, so that a refused one is recorded as well."""
        return [IsAuthenticated()] if self.request.method == "DELETE" else [IsAuthenticated(), MayViewCard()]

    @extend_schema(responses={200: TokenSerializer})
    def get(self, request: Request, token: str) -> Response:
        """Describe a card without opening it. A malformed token is as unknown as an unknown one."""
        return Response(TokenSerializer(services.describe(token)).data)

    @sensitive_variables()
    @extend_schema(request=ErasureSerializer, responses={200: CertificateSerializer})
    def delete(self, request: Request, token: str) -> Response:
        """Erase a card for good. Takes the right `erase_card`; the same again gives the same certificate.

        409 `on_hold` for a card under legal hold.
        """
        body = ErasureSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        certificate = services.erase(token, actor=request.user, reason=body.validated_data["reason"])
        return Response(CertificateSerializer(document(certificate)).data)


class TokenSearchView(APIView):
    # The service decides, so that a refused search is recorded as well.
    permission_classes = [IsAuthenticated]

    @sensitive_variables()
    @extend_schema(request=SearchSerializer, responses={200: TokenSerializer})
    def post(self, request: Request) -> Response:
        """Find a card by its number. 404 if none is on file. Takes the right `search_pan`, and is recorded."""
        body = SearchSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        card = services.search(body.validated_data["pan"], actor=request.user)
        if card is None:
            raise TokenNotFound
        return Response(TokenSerializer(card).data)


@method_decorator(never_cache, name="dispatch")
class DetokenizationView(APIView):
    # The service decides, so that a refused reading is recorded as well.
    permission_classes = [IsAuthenticated]

    @sensitive_variables()
    @extend_schema(request=DetokenizationSerializer, responses={200: RevealedSerializer})
    def post(self, request: Request, token: str) -> Response:
        """Read a card number. Takes the right `detokenize_pan` and a purpose, counts in the budget, and is recorded.

        403 `detokenization_denied` says in `reason` why not.
        """
        body = DetokenizationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        purpose = Purpose(body.validated_data["purpose"], body.validated_data["reason"])
        pan = services.detokenize(token, actor=request.user, purpose=purpose)
        revealed = {"pan": pan.expose(), "expires": services.describe(token).expires}
        return Response(RevealedSerializer(revealed).data)
