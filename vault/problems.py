"""Every kind of error that the API answers with, for RFC 9457 problem details and for the page that explains them.

A code, once published, keeps its meaning and its status; see docs/api.md on versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

CONTENT_TYPE: Final = "application/problem+json"
#: Where the kinds are explained; the `type` of a problem is below it.
PAGE: Final = "/api/problems/"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of error: its stable code, its status, a title that never changes, and what its receiver can do."""

    code: str
    status: HTTPStatus
    title: str
    advice: str

    @property
    def type(self) -> str:
        """A URI reference with its full path, which RFC 9457 (3.1.1) asks for: it is the same behind every host."""
        return f"{PAGE}{self.code}"


_KINDS: Final[dict[str, Kind]] = {}


def define(code: str, status: HTTPStatus, title: str, advice: str) -> Kind:
    """Add a kind. Raises `ValueError` for a code that is taken."""
    if code in _KINDS:
        raise ValueError
    _KINDS[code] = Kind(code, status, title, advice)
    return _KINDS[code]


def kinds() -> list[Kind]:
    """All of them, by status and code."""
    return sorted(_KINDS.values(), key=lambda kind: (kind.status, kind.code))


def kind_of(code: str, status: int) -> Kind:
    """The kind with this code, else the one that stands for the status, else the one for errors of ours."""
    return _KINDS.get(code) or _BY_STATUS.get(status) or INTERNAL


def body_of(kind: Kind, *, request_id: str, detail: str = "", **members: Any) -> dict[str, Any]:
    """A problem as RFC 9457 has it. `detail` is a constant, and the title if there is nothing to add to it."""
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status.value,
        "code": kind.code,
        "detail": detail or kind.title,
        **members,
        "request_id": request_id,
    }


MALFORMED: Final = define(
    "malformed",
    HTTPStatus.BAD_REQUEST,
    "The body is not valid JSON.",
    "Send one JSON value in UTF-8 (RFC 8259), without a name that stands twice and not nested deeper than 16 levels.",
)
BAD_REQUEST: Final = define(
    "bad_request",
    HTTPStatus.BAD_REQUEST,
    "The request was not understood.",
    "Its host, path or headers are not as HTTP has them. See the examples of the documentation.",
)
INVALID: Final = define(
    "invalid",
    HTTPStatus.BAD_REQUEST,
    "The request has invalid fields.",
    "`errors` names each field by a JSON pointer (RFC 6901), each query parameter and each header, and says what is "
    "wrong with it. What was sent is not repeated.",
)
PAN_IN_URL: Final = define(
    "pan_in_url",
    HTTPStatus.BAD_REQUEST,
    "A card number does not belong in an address. It was not processed.",
    "Addresses are kept in logs of many kinds. Take the number out, and see where your program put it there.",
)
INVALID_PAN: Final = define(
    "invalid_pan",
    HTTPStatus.BAD_REQUEST,
    "This is not a valid card number.",
    "Have the number typed again.",
)
BATCH_REFUSED: Final = define(
    "batch_refused",
    HTTPStatus.BAD_REQUEST,
    "Some rows cannot be carried out, so none was.",
    "`rows` has the problem of each of them, by its index. Correct them, or send `continue_on_error`.",
)
NOT_AUTHENTICATED: Final = define(
    "not_authenticated",
    HTTPStatus.UNAUTHORIZED,
    "No token was sent.",
    "Send the header `Authorization: Token ...`.",
)
AUTHENTICATION_FAILED: Final = define(
    "authentication_failed",
    HTTPStatus.UNAUTHORIZED,
    "The token does not count.",
    "It has expired, was revoked, or is not allowed from where it was sent. Ask for a new one.",
)
PERMISSION_DENIED: Final = define(
    "permission_denied",
    HTTPStatus.FORBIDDEN,
    "This account may not do this.",
    "Ask whoever runs this service for the right. Each operation names the one it takes.",
)
ACCESS_DENIED: Final = define(
    "access_denied",
    HTTPStatus.FORBIDDEN,
    "This actor may not do this.",
    "`reason` says why. A lock after too many cards is ended by a person, not by waiting.",
)
DETOKENIZATION_DENIED: Final = define(
    "detokenization_denied",
    HTTPStatus.FORBIDDEN,
    "This actor may not read card numbers for this purpose.",
    "`reason` says why. A lock after too many cards is ended by a person, not by waiting.",
)
NOT_FOUND: Final = define(
    "not_found",
    HTTPStatus.NOT_FOUND,
    "There is no such thing.",
    "What this account may not see is answered in the same way.",
)
METHOD_NOT_ALLOWED: Final = define(
    "method_not_allowed",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "This address does not take this method.",
    "The header `Allow` has those that it takes.",
)
NOT_ACCEPTABLE: Final = define(
    "not_acceptable",
    HTTPStatus.NOT_ACCEPTABLE,
    "Only JSON is answered.",
    "Accept `application/json`.",
)
CONFLICT: Final = define(
    "conflict",
    HTTPStatus.CONFLICT,
    "The state of this thing does not allow it.",
    "Read it again, and decide anew.",
)
ON_HOLD: Final = define(
    "on_hold",
    HTTPStatus.CONFLICT,
    "The card is under legal hold and cannot be erased.",
    "A person has to end the hold first.",
)
IN_PROGRESS: Final = define(
    "idempotency_in_progress",
    HTTPStatus.CONFLICT,
    "A request with this Idempotency-Key is being carried out.",
    "Send the same again after the seconds of `Retry-After`.",
)
CARD_ERASED: Final = define(
    "card_erased",
    HTTPStatus.GONE,
    "The card is no longer on file.",
    "Its number is gone for good. Ask the customer for a card.",
)
PRECONDITION_FAILED: Final = define(
    "precondition_failed",
    HTTPStatus.PRECONDITION_FAILED,
    "It has changed since it was read.",
    "Read it again, decide anew, and send the new ETag as `If-Match`.",
)
BODY_TOO_LARGE: Final = define(
    "body_too_large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The body is too large.",
    "Send at most 64 KiB; in a batch at most one MiB, and 1,000 rows.",
)
UNSUPPORTED_MEDIA_TYPE: Final = define(
    "unsupported_media_type",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "Only JSON is taken.",
    "Send `Content-Type: application/json`.",
)
KEY_REUSED: Final = define(
    "idempotency_key_reused",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "This Idempotency-Key came with another request.",
    "A key names one request. Make a new key for a new request; a UUID will do.",
)
THROTTLED: Final = define(
    "throttled",
    HTTPStatus.TOO_MANY_REQUESTS,
    "Too many requests within a minute.",
    "Wait for the seconds of `Retry-After`. It was not carried out.",
)
INTERNAL: Final = define(
    "internal_error",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Something went wrong on this side.",
    "Report the `request_id`. Whether it was carried out is not known: repeat it with the same Idempotency-Key.",
)
RECORD_TAMPERED: Final = define(
    "record_tampered",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "The stored card failed its integrity check.",
    "Nothing was given out, and an alarm was raised. Report the `request_id`; do not try again.",
)
VAULT_ERROR: Final = define(
    "vault_error",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "The vault refused.",
    "Report the `request_id`.",
)
VAULT_UNAVAILABLE: Final = define(
    "vault_unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The vault did not answer in time. Try again.",
    "Repeat it with the same Idempotency-Key after the seconds of `Retry-After`.",
)
VAULT_SEALED: Final = define(
    "vault_sealed",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The vault cannot be opened.",
    "A key or table is missing or not permitted; somebody has to see to it. Trying again soon is of no use.",
)
AUDIT_UNAVAILABLE: Final = define(
    "audit_unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The audit log could not be written, so the operation was refused.",
    "Nothing is done that cannot be recorded. Repeat it with the same Idempotency-Key later.",
)
DATABASE_UNAVAILABLE: Final = define(
    "database_unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The database did not answer. Try again.",
    "Repeat it with the same Idempotency-Key after the seconds of `Retry-After`: it is carried out once.",
)

# What stands for a status where no code of ours is known, such as an exception of a library.
_BY_STATUS: Final = {
    kind.status.value: kind
    for kind in (
        BAD_REQUEST,
        AUTHENTICATION_FAILED,
        PERMISSION_DENIED,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        NOT_ACCEPTABLE,
        CONFLICT,
        BODY_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        THROTTLED,
    )
}
