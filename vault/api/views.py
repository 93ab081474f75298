"""`/api/v1/tokens/`: card numbers in, tokens out, and back for those with the right, a purpose and a budget."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from vault import services
from vault.api.base import APIView
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
from vault.policy import Right
from vault.purposes import Purpose
from vault.tokens import PATTERN


class TokenListView(APIView):
    permission_classes = [IsAuthenticated, MayTokenize]
    limits = {"POST": Right.TOKENIZE.value}

    @sensitive_variables()
    @extend_schema(
        operation_id="tokenize",
        request=NewTokenSerializer,
        responses={200: KeptTokenSerializer, 201: KeptTokenSerializer},
    )
    def post(self, request: Request) -> Response:
        """Keep a card. 201 for a new one; 200 if it is known, with the token it has and an expiry that was given.

        `status` says which, and whether the expiry is another one than before.
        """
        body = NewTokenSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        kept = services.tokenize(body.validated_data["pan"], expires=body.validated_data.get("expires"))
        is_new = kept.status is services.Status.CREATED
        return Response(
            KeptTokenSerializer(kept).data,
            status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK,
            headers={"Location": reverse("api_vault:token", args=[kept.token.text])},
        )


class TokenView(APIView):
    limits = {"GET": "view_card", "DELETE": Right.ERASE.value}
    conditions = {"GET": "If-None-Match"}
    path_patterns = {"token": PATTERN}

    def get_permissions(self) -> list[Any]:
        """For an erasure the service decides, so that a refused one is recorded as well."""
        return [IsAuthenticated()] if self.request.method == "DELETE" else [IsAuthenticated(), MayViewCard()]

    @extend_schema(operation_id="describe_token", responses={200: TokenSerializer})
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Describe a card without opening it. A malformed token is as unknown as an unknown one."""
        return self.entity(TokenSerializer(services.describe(token)).data)

    @sensitive_variables()
    @extend_schema(operation_id="erase_token", request=ErasureSerializer, responses={200: CertificateSerializer})
    def delete(self, request: Request, token: str) -> Response:
        """Erase a card for good. The same again gives the same certificate.

        409 `on_hold` for a card under legal hold.
        """
        body = ErasureSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        certificate = services.erase(token, actor=request.user, reason=body.validated_data["reason"])
        return Response(CertificateSerializer(document(certificate)).data)


class TokenSearchView(APIView):
    # The service decides, so that a refused search is recorded as well.
    permission_classes = [IsAuthenticated]
    limits = {"POST": Right.SEARCH.value}
    # An answer from before would be one past policy and audit.
    keeps_answer = False

    @sensitive_variables()
    @extend_schema(operation_id="search_token", request=SearchSerializer, responses={200: TokenSerializer})
    def post(self, request: Request) -> Response:
        """Find a card by its number. 404 if none is on file. Each search counts in the budget and is recorded."""
        body = SearchSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        card = services.search(body.validated_data["pan"], actor=request.user)
        if card is None:
            raise TokenNotFound
        return Response(TokenSerializer(card).data)


class DetokenizationView(APIView):
    # The service decides, so that a refused reading is recorded as well.
    permission_classes = [IsAuthenticated]
    limits = {"POST": Right.DETOKENIZE.value}
    keeps_answer = False
    path_patterns = {"token": PATTERN}

    @sensitive_variables()
    @extend_schema(operation_id="detokenize", request=DetokenizationSerializer, responses={200: RevealedSerializer})
    def post(self, request: Request, token: str) -> Response:
        """Read a card number. Takes a purpose, counts in the budget, and is recorded.

        403 `detokenization_denied` says in `reason` why not.
        """
        body = DetokenizationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        purpose = Purpose(body.validated_data["purpose"], body.validated_data["reason"])
        pan = services.detokenize(token, actor=request.user, purpose=purpose)
        revealed = {"pan": pan.expose(), "expires": services.describe(token).expires}
        return Response(RevealedSerializer(revealed).data)
