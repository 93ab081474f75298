"""What every view of the API does besides its own job."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView as DRFAPIView

from vault import problems
from vault.api import idempotency, limits
from vault.api.screening import InvalidParameters, holds_pan, screen_body, screen_headers
from vault.api.serializers import StrictSerializer
from vault.misplaced import nameable
from vault.models import IdempotentRequest

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEPT_HEADERS: Final = ("ETag", "Location")
_ONCE: Final = ErrorDetail("This parameter may stand once.", code="repeated")


class NoParameters(StrictSerializer):
    """Nothing may stand in the query."""


class NoBody(StrictSerializer):
    """Nothing but an empty object may be sent, or nothing at all."""


def refuse_body(request: Request) -> None:
    """Raise `ValidationError` for any field in the body of a request that takes none."""
    NoBody(data=request.data).is_valid(raise_exception=True)


class PreconditionFailed(APIException):
    """What `If-Match` names is not how it is now (RFC 9110, 13.1.1)."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_code = problems.PRECONDITION_FAILED.code
    default_detail = problems.PRECONDITION_FAILED.title


class _Replayed(Exception):
    """The request was carried out before; this is its answer."""

    def __init__(self, row: IdempotentRequest) -> None:
        self.row = row


class APIView(DRFAPIView):
    """A view that screens what comes in for card data, keeps to limits, and carries a request with a key out once.

    What a view says of itself: the serializer of its query, its limit by method, and whether its answer may be kept.
    `vault.api.schema` describes it from the same, and from the three that follow.
    """

    query_serializer_class: ClassVar[type[StrictSerializer]] = NoParameters
    limits: ClassVar[dict[str, str]] = {}
    #: False where the answer is not to be had without policy and audit: a repetition is then carried out anew.
    keeps_answer: bool = True
    #: How large a body is taken. Looking for card numbers in a MiB of digits takes a second and more.
    most_bytes: ClassVar[int] = 64 * 1024
    #: The conditional header that a method honors.
    conditions: ClassVar[dict[str, str]] = {}
    #: The kinds of error of a method's own, besides those of every operation and of its right.
    kinds: ClassVar[dict[str, tuple[problems.Kind, ...]]] = {}
    #: What a part of the path looks like.
    path_patterns: ClassVar[dict[str, str]] = {}

    #: The query, as its serializer has it.
    query: dict[str, Any]
    _claim: idempotency.Claim | None = None

    @method_decorator(sensitive_variables())
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Everything that is asked before the method runs. Raises what `vault.api.problems` answers."""
        screen_headers(request.headers)
        super().initial(request, *args, **kwargs)
        # HEAD does what GET does, and has no limit of its own beside it.
        method = "GET" if request.method == "HEAD" else request.method or ""
        limits.spend(request.user, self.limits.get(method, limits.OTHERS), self.cost(request))
        self.query = self._parameters(request)
        if request.method in _WITH_BODY:
            screen_body(request.data)
        if request.method == "POST":
            found = idempotency.claim(request)
            if isinstance(found, IdempotentRequest):
                raise _Replayed(found)
            self._claim = found

    def cost(self, request: Request) -> int:
        """What a request counts in its limit."""
        return 1

    @property
    def submission(self) -> UUID | None:
        """What a repetition of this request is recognized by, if it came with a key."""
        return self._claim.submission if self._claim else None

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, _Replayed):
            return self._replay(exc.row)
        try:
            return super().handle_exception(exc)
        except Exception:
            # Answered by Django with 500.
            if self._claim:
                self._claim.leave()
            raise

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        # No store between here and the client keeps an answer, whatever it holds (RFC 9111, 5.2.2.5).
        answer["Cache-Control"] = "no-store"
        if self._claim:
            self._settle(self._claim, answer)
        return answer

    def _settle(self, claim: idempotency.Claim, answer: Any) -> None:
        if status.is_client_error(answer.status_code):
            claim.release()
        elif status.is_success(answer.status_code) and self.keeps_answer and not holds_pan(answer.data):
            headers = {name: answer[name] for name in _KEPT_HEADERS if answer.has_header(name)}
            claim.settle(answer.status_code, headers, JSONRenderer().render(answer.data).decode())
        else:
            claim.leave()

    def _replay(self, row: IdempotentRequest) -> Any:
        headers = row.headers | {idempotency.REPLAYED: "true"}
        return HttpResponse(row.answer, status=row.status, content_type="application/json", headers=headers)

    def _parameters(self, request: Request) -> dict[str, Any]:
        """The query, in which a name may stand once: two readers could each take another one of two."""
        given = request.query_params
        if repeated := [name for name, values in given.lists() if len(values) > 1]:
            raise InvalidParameters({nameable(name) or "": [_ONCE] for name in repeated})
        query = self.query_serializer_class(data=given.dict())
        if not query.is_valid():
            raise InvalidParameters(query.errors)
        return dict(query.validated_data)

    def entity(self, data: Any) -> HttpResponseBase:
        """An answer with an ETag, or 304 without a body for who has it already."""
        tag = etag_of(data)
        if _is_among(tag, self.request.headers.get("If-None-Match", ""), weak=True):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
        return Response(data, headers={"ETag": tag})

    def require_match(self, data: Any) -> None:
        """Raise `PreconditionFailed` if the request is about another state than the one that `data` shows."""
        wanted = self.request.headers.get("If-Match")
        if wanted is not None and not _is_among(etag_of(data), wanted, weak=False):
            raise PreconditionFailed


def etag_of(data: Any) -> str:
    """A strong entity tag: two answers have the same if they are the same, to the byte."""
    digest = hashlib.sha256(JSONRenderer().render(data)).digest()
    # In base32: digits that stand together by chance must not pass for a card number.
    return f'"{base64.b32encode(digest[:16]).decode().rstrip("=").lower()}"'


def _is_among(tag: str, header: str, *, weak: bool) -> bool:
    named = [each.strip() for each in header.split(",")]
    return "*" in named or tag in named or (weak and f"W/{tag}" in named)
