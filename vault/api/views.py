"""`/api/v1/tokens/`: card numbers in, tokens out, and no way back."""

from __future__ import annotations

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from vault import services
from vault.api.permissions import MayTokenize, MayViewCard
from vault.api.serializers import NewTokenSerializer, TokenSerializer


class TokenListView(APIView):
    permission_classes = [IsAuthenticated, MayTokenize]

    @sensitive_variables()
    @extend_schema(request=NewTokenSerializer, responses={200: TokenSerializer, 201: TokenSerializer})
    def post(self, request: Request) -> Response:
        """Keep a card. 201 for a new one; 200 if it is known, with the token it has and an expiry that was given."""
        body = NewTokenSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        kept = services.tokenize(body.validated_data["pan"], expires=body.validated_data.get("expires"))
        is_new = kept.status is services.Status.CREATED
        return Response(
            TokenSerializer(kept.card).data, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        )


class TokenView(APIView):
    permission_classes = [IsAuthenticated, MayViewCard]

    @extend_schema(responses={200: TokenSerializer})
    def get(self, request: Request, token: str) -> Response:
        """Describe a card without opening it. A malformed token is as unknown as an unknown one."""
        return Response(TokenSerializer(services.describe(token)).data)
