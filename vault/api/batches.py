"""Many cards in one request: each row is answered by itself, or none is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar, Final

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from vault import problems, services
from vault.api.base import APIView
from vault.api.fields import ExpirySerializerField, FlagField, TextField
from vault.api.permissions import MayTokenize
from vault.api.problems import problem_of
from vault.api.serializers import DetokenizationSerializer, NewTokenSerializer, StrictSerializer, TokenSerializer
from vault.audit import current_origin
from vault.exceptions import VaultError
from vault.models import Card
from vault.pan import PAN
from vault.policy import Right
from vault.purposes import Purpose

MOST_ROWS: Final = 1000
FAILED: Final = "failed"
READ: Final = "read"
_CONTINUE: Final = "Carry out the rows that can be. Without it none is if one cannot be."


class ManyField(serializers.ListField):
    """A list, whose length is looked at before what stands in it."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) > MOST_ROWS:
            self.fail("max_length", max_length=MOST_ROWS)
        return super().to_internal_value(data)


@extend_schema_field(NewTokenSerializer(many=True))
class RowsField(ManyField):
    """Rows as they were sent. Each is looked at by itself, so that a wrong one is answered in its place."""


class NewTokensSerializer(StrictSerializer):
    """Cards to be kept."""

    rows = RowsField(child=serializers.JSONField(), allow_empty=False, max_length=MOST_ROWS)
    continue_on_error = FlagField(default=False, help_text=_CONTINUE)


class DetokenizationsSerializer(DetokenizationSerializer):
    """Cards to be read, and what for."""

    tokens = ManyField(child=TextField(max_length=100), allow_empty=False, max_length=MOST_ROWS)
    continue_on_error = FlagField(default=False, help_text=_CONTINUE)


class RowSerializer(serializers.Serializer[Any]):
    """What became of a row. `problem` is there if it failed."""

    index = serializers.IntegerField(read_only=True, min_value=0, help_text="Of the row in the request, from 0.")
    problem = serializers.DictField(read_only=True, required=False, help_text="As an answer has it: see Problem.")


class KeptRowSerializer(RowSerializer):
    status = serializers.ChoiceField(
        choices=[*(status.value for status in services.Status), FAILED], read_only=True, help_text="See `problem`."
    )
    card = TokenSerializer(read_only=True, required=False)


class KeptRowsSerializer(serializers.Serializer[Any]):
    """What became of each row, in the order in which they were sent."""

    rows = KeptRowSerializer(many=True, read_only=True)


class RevealedRowSerializer(RowSerializer):
    """A card number. It is not to be kept."""

    status = serializers.ChoiceField(choices=[READ, FAILED], read_only=True, help_text="See `problem`.")
    # What stood in the place of a token may have been a card number: it is not said again.
    token = serializers.CharField(read_only=True, required=False)
    pan = serializers.CharField(read_only=True, required=False, help_text="The digits of the card number.")
    expires = ExpirySerializerField(read_only=True, required=False, allow_null=True)


class RevealedRowsSerializer(serializers.Serializer[Any]):
    """What became of each token, in the order in which they were sent."""

    rows = RevealedRowSerializer(many=True, read_only=True)


class BatchRefused(Exception):
    """Some rows cannot be carried out, so none was."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self.rows = rows


class _BatchView(APIView):
    most_bytes = 1024 * 1024
    #: The field of the request that has one element for each card.
    many: ClassVar[str]

    def cost(self, request: Request) -> int:
        """As many as there are cards."""
        many = request.data.get(self.many) if isinstance(request.data, dict) else None
        return max(1, len(many)) if isinstance(many, list) else 1

    def handle_exception(self, exc: Exception) -> Any:
        if not isinstance(exc, BatchRefused):
            return super().handle_exception(exc)
        kind = problems.BATCH_REFUSED
        body = problems.body_of(kind, request_id=current_origin().request_id, rows=exc.rows)
        return Response(body, status=kind.status, content_type=problems.CONTENT_TYPE)

    def answer(self, rows: list[dict[str, Any]], *, continue_on_error: bool) -> Response:
        """200 if all went well, 207 if some did. Raises `BatchRefused` if the request is for all or none."""
        failed = [row for row in rows if row["status"] == FAILED]
        # What failed on this side can be carried out when the same comes again; the answer would stand in its way.
        self.keeps_answer = self.keeps_answer and not any(
            status.is_server_error(row["problem"]["status"]) for row in failed if row["problem"]
        )
        if failed and not continue_on_error:
            raise BatchRefused(failed)
        return Response({"rows": rows}, status=status.HTTP_207_MULTI_STATUS if failed else status.HTTP_200_OK)


class TokenBatchView(_BatchView):
    permission_classes = [IsAuthenticated, MayTokenize]
    limits: ClassVar[dict[str, str]] = {"POST": Right.TOKENIZE.value}
    many = "rows"

    @sensitive_variables()
    @extend_schema(
        operation_id="tokenize_batch",
        request=NewTokensSerializer,
        responses={200: KeptRowsSerializer, 207: KeptRowsSerializer},
    )
    def post(self, request: Request) -> Response:
        """Keep up to 1,000 cards. Each row counts in the limit.

        A row says `created`, `existing` or `updated`, or `failed` and its problem. Rows that are not valid are found
        before any card is kept. If the vault fails on the way of a request for all or none, no token is given out; sent
        again, it finds what was kept.
        """
        body = NewTokensSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        rows: dict[int, dict[str, Any]] = {}
        cards: dict[int, dict[str, Any]] = {}
        # One for all rows, as for the answer: to make a serializer takes longer than to use it.
        row = NewTokenSerializer()
        for index, sent in enumerate(given["rows"]):
            try:
                cards[index] = row.run_validation(sent)
            except serializers.ValidationError as error:
                rows[index] = _failed(index, error)
        if cards and (given["continue_on_error"] or not rows):
            rows |= self._keep(cards, continue_on_error=given["continue_on_error"])
        return self.answer([rows[index] for index in sorted(rows)], continue_on_error=given["continue_on_error"])

    def _keep(self, cards: dict[int, dict[str, Any]], *, continue_on_error: bool) -> dict[int, dict[str, Any]]:
        keep = services.tokenize_each if continue_on_error else services.tokenize_many
        results = keep(
            [card["pan"] for card in cards.values()], expires=[card.get("expires") for card in cards.values()]
        )
        shown = TokenSerializer()
        return {index: _kept(index, result, shown) for index, result in zip(cards, results, strict=True)}


class DetokenizationBatchView(_BatchView):
    # The service decides, so that a refused reading is recorded as well.
    permission_classes = [IsAuthenticated]
    limits: ClassVar[dict[str, str]] = {"POST": Right.DETOKENIZE.value}
    many = "tokens"
    keeps_answer = False

    @sensitive_variables()
    @extend_schema(
        operation_id="detokenize_batch",
        request=DetokenizationsSerializer,
        responses={200: RevealedRowsSerializer, 207: RevealedRowsSerializer},
    )
    def post(self, request: Request) -> Response:
        """Read up to 1,000 card numbers for one purpose. Each counts in the limit and in the budget of cards.

        A row says `read`, or `failed` and its problem. For all or none, no number is given out if one cannot be.
        """
        body = DetokenizationsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        results = services.detokenize_each(
            given["tokens"],
            actor=request.user,
            purpose=Purpose(given["purpose"], given["reason"]),
            is_all_or_none=not given["continue_on_error"],
        )
        expires = dict(Card.objects.filter(token__in=given["tokens"]).values_list("token", "expires"))
        month = ExpirySerializerField()
        rows = [
            _read(index, token, result, expires.get(token), month)
            for index, (token, result) in enumerate(zip(given["tokens"], results, strict=True))
            if result is not None
        ]
        return self.answer(rows, continue_on_error=given["continue_on_error"])


def _kept(index: int, result: services.Tokenization | VaultError, shown: TokenSerializer) -> dict[str, Any]:
    if isinstance(result, VaultError):
        return _failed(index, result)
    return {"index": index, "status": result.status.value, "card": shown.to_representation(result.card)}


def _read(
    index: int, token: str, result: PAN | VaultError, expires: date | None, month: ExpirySerializerField
) -> dict[str, Any]:
    if isinstance(result, VaultError):
        return _failed(index, result)
    shown = month.to_representation(expires) if expires else None
    return {"index": index, "status": READ, "token": token, "pan": result.expose(), "expires": shown}


def _failed(index: int, error: Exception) -> dict[str, Any]:
    problem = problem_of(error) or {}
    problem.pop("request_id", None)
    return {"index": index, "status": FAILED, "problem": problem}
