"""The API's description in OpenAPI 3.1, from what the views say of themselves.

A view says its serializers and the name of its operation; what holds for every operation is added here, so that no
view repeats it and none forgets it: headers, conditional requests, limits, rights and errors.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

import uritemplate
from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.plumbing import ResolvedComponent, append_meta
from rest_framework import serializers, status as http_status

from vault import problems
from vault.api.fields import TextField
from vault.api.serializers import StrictSerializer
from vault.exceptions import PANProblem, Refusal
from vault.policy import Right
from vault.problems import CONTENT_TYPE, Kind

_Schema = dict[str, Any]

#: What can go wrong wherever the vault itself is asked.
OF_THE_VAULT: Final = (problems.VAULT_ERROR, problems.VAULT_UNAVAILABLE, problems.VAULT_SEALED)

_ANYWHERE: Final = (
    problems.INVALID,
    problems.BAD_REQUEST,
    problems.PAN_IN_URL,
    problems.NOT_AUTHENTICATED,
    problems.AUTHENTICATION_FAILED,
    problems.NOT_ACCEPTABLE,
    problems.THROTTLED,
    problems.INTERNAL,
    problems.AUDIT_UNAVAILABLE,
    problems.DATABASE_UNAVAILABLE,
)
_WITH_BODY: Final = (problems.MALFORMED, problems.BODY_TOO_LARGE, problems.UNSUPPORTED_MEDIA_TYPE)
_WITH_KEY: Final = (problems.IN_PROGRESS, problems.KEY_REUSED)
_BY_RIGHT: Final[dict[str, tuple[Kind, ...]]] = {
    Right.TOKENIZE: OF_THE_VAULT,
    Right.SEARCH: (problems.ACCESS_DENIED, problems.NOT_FOUND, *OF_THE_VAULT),
    Right.ERASE: (problems.ACCESS_DENIED, problems.ON_HOLD, *OF_THE_VAULT),
    Right.DETOKENIZE: (
        problems.DETOKENIZATION_DENIED,
        problems.CARD_ERASED,
        problems.RECORD_TAMPERED,
        *OF_THE_VAULT,
    ),
}
# In a batch these are about a row.
_OF_ONE_CARD: Final = frozenset({problems.CARD_ERASED, problems.RECORD_TAMPERED})

_REQUEST_ID: Final = "b7c1d6e2f0a94c3e8d5ba1c4e6f7a8b9"
_ROW: Final = {"index": 3, "status": "failed"}
_PAN_ERROR: Final = {
    "pointer": "/pan",
    "code": PANProblem.CHECKSUM.value,
    "detail": PANProblem.CHECKSUM.message,
}
_INVALID_ROW: Final = {
    "type": problems.INVALID.type,
    "title": problems.INVALID.title,
    "status": problems.INVALID.status.value,
    "code": problems.INVALID.code,
    "detail": problems.INVALID.title,
    "errors": [_PAN_ERROR],
}
# What the example of a kind has besides what all have.
_MEMBERS: Final[dict[Kind, dict[str, Any]]] = {
    problems.INVALID: {
        "errors": [
            _PAN_ERROR,
            {
                "pointer": "/cvc",
                "code": "forbidden",
                "detail": "This may never be kept: card verification codes, PINs, track data.",
            },
            {"parameter": "sort", "code": "unknown", "detail": "This field is not known here."},
        ]
    },
    problems.ACCESS_DENIED: {"detail": Refusal.NO_RIGHT.message, "reason": Refusal.NO_RIGHT.value},
    problems.DETOKENIZATION_DENIED: {"detail": Refusal.BUDGET.message, "reason": Refusal.BUDGET.value},
    problems.BATCH_REFUSED: {"rows": [_ROW | {"problem": _INVALID_ROW}]},
}

_ERROR: Final[_Schema] = {
    "type": "object",
    "description": "What is wrong with one field, query parameter or header. It has one of the three.",
    "required": ["code", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "A JSON pointer (RFC 6901) into the body; empty for all of it."},
        "parameter": {"type": "string", "description": "The name of a query parameter."},
        "header": {"type": "string", "description": "The name of a header."},
        "code": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "For people. What was sent is never repeated."},
    },
}
_PROBLEM_MEMBERS: Final[_Schema] = {
    "type": {
        "type": "string",
        "format": "uri-reference",
        "description": "Where this kind of error is explained. Stable.",
    },
    "title": {"type": "string", "description": "The kind of error in one sentence. The same for each of its kind."},
    "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
    "code": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "The kind of error, for programs."},
    "detail": {"type": "string", "description": "What went wrong, for people. Never what was sent."},
    "reason": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]*$",
        "description": "Why an account may not, where there is more than one reason.",
        "examples": [Refusal.NO_RIGHT.value, Refusal.LOCKED.value, Refusal.BUDGET.value],
    },
    "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ProblemError"}},
}
_ALWAYS: Final = ["type", "title", "status", "code", "detail"]
_ROW_PROBLEM: Final[_Schema] = {
    "type": "object",
    "description": "What went wrong with a row of a batch: a Problem without the id of the request.",
    "required": _ALWAYS,
    "properties": _PROBLEM_MEMBERS,
}
_PROBLEM: Final[_Schema] = {
    "type": "object",
    "description": "What went wrong, as RFC 9457 has it. Members may be added; pass over those you do not know.",
    "required": [*_ALWAYS, "request_id"],
    "properties": {
        **_PROBLEM_MEMBERS,
        "request_id": {
            "type": "string",
            "description": "Of this request, as in the header `Request-Id`. Name it when you ask for help.",
        },
        "rows": {
            "type": "array",
            "description": "Of a refused batch, the rows that cannot be carried out.",
            "items": {
                "type": "object",
                "required": ["index", "status", "problem"],
                "properties": {
                    "index": {"type": "integer", "minimum": 0, "description": "Of the row in the request, from 0."},
                    "status": {"const": "failed"},
                    "problem": {"$ref": "#/components/schemas/RowProblem"},
                },
            },
        },
    },
}
_SCHEMAS: Final = {"Problem": _PROBLEM, "RowProblem": _ROW_PROBLEM, "ProblemError": _ERROR}

_SECONDS: Final = {"type": "integer", "minimum": 1}
_TAG: Final = {"type": "string", "pattern": '^"[a-z2-7]{26}"$'}
_HEADERS: Final[dict[str, _Schema]] = {
    "Request-Id": {
        "description": "Of this request. It stands in the audit log; name it when you ask for help.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
    "Cache-Control": {
        "description": "Nobody between here and you keeps an answer.",
        "required": True,
        "schema": {"type": "string", "const": "no-store"},
    },
    "ETag": {"description": "The state of what is answered. Send it as `If-None-Match` or `If-Match`.", "schema": _TAG},
    "Location": {
        "description": "Where what was made is found.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {"description": "After how many seconds to try again.", "schema": _SECONDS},
    "Idempotency-Replayed": {
        "description": "There, and `true`, if this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    },
    "WWW-Authenticate": {"description": "How to say who you are.", "schema": {"type": "string"}},
}
_WAITED_FOR: Final = frozenset({HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

_KEY: Final[_Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "Names this request, so that it is carried out once however often it is sent: make a UUID for each new request "
        "and send the same again when no answer came. Kept for 24 hours."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "8b0c7e0e-6a1d-4c57-9d8a-2f5e0f3b6c11",
}
_CONDITIONS: Final[dict[str, _Schema]] = {
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "ETags that you have already. 304 without a body if it is still one of them.",
        "schema": {"type": "string"},
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of the state that this is about. 412 if it has changed since.",
        "schema": {"type": "string"},
    },
}
_SENTENCE: Final = re.compile(r"(.+?)\.(?:\s|$)", re.DOTALL)
_SUCCESS: Final = {
    HTTPStatus.OK: "Done.",
    HTTPStatus.CREATED: "Made.",
    HTTPStatus.MULTI_STATUS: "Some rows were carried out, and some were not: each says which.",
}


def example_of(kind: Kind) -> dict[str, Any]:
    """A problem of this kind, as it may be answered."""
    return problems.body_of(kind, request_id=_REQUEST_ID) | _MEMBERS.get(kind, {})


class AutoSchema(SpectacularAutoSchema):
    """Describes views built on `vault.api.base.APIView`; what a view does not say is taken as not there."""

    def get_operation(self, *args: Any) -> _Schema | None:
        operation: _Schema | None = super().get_operation(*args)
        if operation is None:
            return None
        for name, schema in _SCHEMAS.items():
            self._register(ResolvedComponent.SCHEMA, name, schema)
        operation["responses"] |= self._conditional() | self._errors()
        operation["responses"] = {
            status: self._with_headers(status, response) for status, response in sorted(operation["responses"].items())
        }
        return operation

    # --- What it is called, and what is said of it ---

    def get_summary(self) -> str:
        """The first sentence of the method's docstring."""
        found = _SENTENCE.match(self._doc())
        return found[1].replace("\n", " ") if found else ""

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's, which DRF's differs from
        """The rest of it, and what the view says of rights and limits."""
        rest = _SENTENCE.sub("", self._doc(), count=1).strip()
        each = "row" if self._is_batch() else "request"
        right = self._right()
        said = [
            f"Takes the right {right}." if right else "Takes no right but a token of the API.",
            f"Each {each} counts in the limit `{self._limit()}`.",
        ]
        paragraphs = [" ".join(each.split()) for each in rest.split("\n\n")]
        return "\n\n".join(filter(None, [*paragraphs, " ".join(said)]))

    def _doc(self) -> str:
        return str(super().get_description())

    def _limit(self) -> str:
        limits: dict[str, str] = getattr(self.view, "limits", {})
        return limits.get(self.method, "*")

    def _right(self) -> str:
        """In code marks: that of a permission class, that of the view, or that which the service asks for."""
        for permission in self.view.get_permissions():
            if rights := getattr(permission, "rights", ()):
                return " or ".join(f"`{right}`" for right in rights)
        if right := getattr(self.view, "rights", {}).get(self.method):
            return f"`{right}`"
        return f"`vault.{self._limit()}`" if self._is_decided_by_service() else ""

    def _is_decided_by_service(self) -> bool:
        asked = any(getattr(permission, "rights", ()) for permission in self.view.get_permissions())
        return not asked and self._limit() in _BY_RIGHT

    def _is_batch(self) -> bool:
        return hasattr(self.view, "many")

    # --- What goes in ---

    def _get_parameters(self) -> list[_Schema]:
        parameters: list[_Schema] = super()._get_parameters()
        patterns: dict[str, str] = getattr(self.view, "path_patterns", {})
        for parameter in parameters:
            if parameter["in"] == "path" and (pattern := patterns.get(parameter["name"])):
                parameter["schema"]["pattern"] = f"^{pattern}$"
        if self.method == "POST":
            parameters.append(_KEY)
        if condition := self._condition():
            parameters.append(_CONDITIONS[condition])
        return parameters

    def _condition(self) -> str | None:
        conditions: dict[str, str] = getattr(self.view, "conditions", {})
        return conditions.get(self.method)

    def _get_request_body(self, direction: str = "request") -> _Schema | None:
        if self.method != "DELETE":
            body: _Schema | None = super()._get_request_body(direction)
            return body
        # A DELETE has no body unless the view says which: HTTP gives it no meaning of its own.
        serializer = self.get_request_serializer()
        if serializer is None:
            return None
        schema, is_required = self._get_request_for_media_type(serializer, direction)
        return {"content": {"application/json": {"schema": schema}}, "required": is_required}

    def get_request_serializer(self) -> Any:
        return None if self.method == "DELETE" else super().get_request_serializer()

    def _map_basic_serializer(self, serializer: Any, direction: str) -> _Schema:
        schema: _Schema = super()._map_basic_serializer(serializer, direction)
        if "__doc__" not in vars(type(serializer)) or not type(serializer).__doc__:
            # That of a base class is about something else.
            schema.pop("description", None)
        if isinstance(serializer, StrictSerializer) and direction == "request":
            schema |= {"additionalProperties": False} | serializer.rules
        if "problem" in schema["properties"]:
            # A row that failed has its problem in place of everything else.
            schema["required"] = ["index", "status"]
        optional = {
            name
            for name, field in serializer.fields.items()
            if field.read_only and field._kwargs.get("required") is False  # noqa: SLF001 - what was written there
        }
        if optional and "required" in schema:
            schema["required"] = [name for name in schema["required"] if name not in optional]
        return schema

    def _map_serializer_field(self, field: Any, direction: str, *args: Any, **kwargs: Any) -> _Schema | None:
        if isinstance(field, serializers.DictField) and field.field_name == "problem":
            self._register(ResolvedComponent.SCHEMA, "RowProblem", _ROW_PROBLEM)
            meta = {"readOnly": True, "description": "There if `status` is `failed`."}
            return dict(append_meta({"$ref": "#/components/schemas/RowProblem"}, meta))
        schema: _Schema | None = super()._map_serializer_field(field, direction, *args, **kwargs)
        if schema is None:
            return None
        if isinstance(field, serializers.ListField) and not field.allow_empty:
            schema["minItems"] = 1
        if isinstance(field, TextField) and not field.allow_blank:
            # White space alone is no text.
            schema["pattern"] = r"\S"
        return schema

    # --- What comes out ---

    def _conditional(self) -> _Schema:
        if self._condition() != "If-None-Match":
            return {}
        return {str(HTTPStatus.NOT_MODIFIED.value): {"description": "It has not changed: you have it already."}}

    def _errors(self) -> dict[str, _Schema]:
        by_status: dict[HTTPStatus, list[Kind]] = {}
        for kind in sorted(self._kinds(), key=lambda kind: kind.code):
            by_status.setdefault(kind.status, []).append(kind)
        return {str(status.value): self._error(kinds) for status, kinds in by_status.items()}

    def _kinds(self) -> set[Kind]:
        """Every kind of error that can be answered to this operation."""
        own: dict[str, tuple[Kind, ...]] = getattr(self.view, "kinds", {})
        found = {*_ANYWHERE, *own.get(self.method, ()), *_BY_RIGHT.get(self._limit(), ())}
        if self.method in ("POST", "PUT", "PATCH", "DELETE"):
            found |= set(_WITH_BODY)
        if self.method == "POST":
            found |= set(_WITH_KEY)
        if self._condition() == "If-Match":
            found.add(problems.PRECONDITION_FAILED)
        if uritemplate.variables(self.path):
            found.add(problems.NOT_FOUND)
        if self._right() and not self._is_decided_by_service():
            found.add(problems.PERMISSION_DENIED)
        if self._is_batch():
            found = (found | {problems.BATCH_REFUSED}) - _OF_ONE_CARD
        return found

    def _error(self, kinds: list[Kind]) -> _Schema:
        examples = {kind.code: self._example(kind) for kind in kinds}
        content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
        said = "\n".join(f"- `{kind.code}`: {kind.title}" for kind in kinds)
        return {"description": said, "content": {CONTENT_TYPE: content}}

    def _example(self, kind: Kind) -> _Schema:
        self._register(ResolvedComponent.EXAMPLE, kind.code, {"summary": kind.title, "value": example_of(kind)})
        return {"$ref": f"#/components/examples/{kind.code}"}

    def _with_headers(self, status: str, response: _Schema) -> _Schema:
        code = HTTPStatus(int(status))
        named = ["Request-Id", "Cache-Control"]
        if http_status.is_success(code) and self.method == "POST":
            if str(HTTPStatus.CREATED.value) in self._answers():
                named.append("Location")
            if getattr(self.view, "keeps_answer", True):
                named.append("Idempotency-Replayed")
        if (code is HTTPStatus.OK or code is HTTPStatus.NOT_MODIFIED) and self._condition() == "If-None-Match":
            named.append("ETag")
        if code in _WAITED_FOR:
            named.append("Retry-After")
        if code is HTTPStatus.UNAUTHORIZED:
            named.append("WWW-Authenticate")
        headers = {name: self._header(name) for name in sorted(named)}
        described = response["description"] or _SUCCESS.get(code, "")
        return response | {"description": described, "headers": response.get("headers", {}) | headers}

    def _answers(self) -> set[str]:
        answers = self.get_response_serializers()
        return {str(status) for status in answers} if isinstance(answers, dict) else set()

    def _header(self, name: str) -> _Schema:
        self._register(ResolvedComponent.HEADER, name, _HEADERS[name])
        return {"$ref": f"#/components/headers/{name}"}

    def _register(self, kind: str, name: str, schema: _Schema) -> None:
        self.registry.register_on_missing(ResolvedComponent(name=name, type=kind, schema=schema, object=name))
