"""`Idempotency-Key`: a request that is sent again is carried out once (trials A8, A10).

Whoever comes first with a key claims it in SQL, by a unique row, and carries the request out. What comes with the same
key meanwhile gets 409, and afterwards the same answer. A claim whose process died lapses; then the next one carries the
request out with the same `submission`, by which an order that was placed already is found.

Kept are an HMAC of account and key, an HMAC of what was sent, and an answer without digits, for 24 hours. What was
refused changed nothing, so after that the key is free, unless the request was begun before: an earlier attempt may have
changed something. After an error of ours the same request can come again.
"""

from __future__ import annotations

import hmac
import json
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import DatabaseError, connections
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail
from rest_framework.request import Request

from vault import problems
from vault.api.screening import InvalidHeaders
from vault.models import IdempotentRequest

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
KEPT: Final = timedelta(hours=24)
#: Longer than any request takes; after that its process is taken for dead.
CLAIM: Final = timedelta(seconds=90)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_SALT: Final = "vault.api.idempotency"
_LOOKS: Final = 3


class InProgress(APIException):
    """The first request with this key is still being carried out."""

    status_code = status.HTTP_409_CONFLICT
    default_code = problems.IN_PROGRESS.code
    default_detail = problems.IN_PROGRESS.title
    wait = 1


class KeyReused(APIException):
    """Another request came with this key."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = problems.KEY_REUSED.code
    default_detail = problems.KEY_REUSED.title


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to carry out the request with a key. It is either settled with an answer or released."""

    row: IdempotentRequest
    #: False if the request was begun before, and what became of it is not known.
    is_first: bool

    @property
    def submission(self) -> uuid.UUID:
        """The same for every repetition of the request."""
        return self.row.submission

    def settle(self, status_code: int, headers: dict[str, str], answer: str) -> None:
        """Keep the answer for those who ask again."""
        self._change(status=status_code, headers=headers, answer=answer)

    def release(self) -> None:
        """Give the key free: nothing was carried out.

        Unless the request was begun before. Then it may have been, and with a free key it could be once more.
        """
        if not self.is_first:
            self.leave()
            return
        _insist(self._mine().delete)

    def leave(self) -> None:
        """Let the same request be carried out again: whether this one was is not known, or its answer is not kept."""
        self._change(claimed_until=timezone.now())

    def _change(self, **columns: Any) -> None:
        _insist(lambda: self._mine().update(**columns))

    def _mine(self) -> Any:
        # Another process has it if this one took longer than a claim lasts.
        return IdempotentRequest.objects.filter(pk=self.row.pk, owner=self.row.owner, status=None)


def claim(request: Request) -> Claim | IdempotentRequest | None:
    """Claim the key of a request, or give what was answered to the same request before; None if it has no key.

    Raises `InvalidHeaders`, `InProgress` or `KeyReused`.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        said = ErrorDetail("A key has 1 to 255 characters of ASCII, without spaces.", code="invalid")
        raise InvalidHeaders({HEADER: [said]})
    key_digest = _digest(str(request.user.pk), key)
    content_digest = _digest(str(request.method), request.path, _canonical(request.data))
    for _ in range(_LOOKS):
        if found := _claim(key_digest, content_digest):
            return found
    raise InProgress


def _claim(key_digest: str, content_digest: str) -> Claim | IdempotentRequest | None:
    """None if another process changed the row in between."""
    now = timezone.now()
    mine = {
        "content_digest": content_digest,
        "owner": uuid.uuid4(),
        "claimed_until": now + CLAIM,
        "expires_at": now + KEPT,
    }
    row, is_new = IdempotentRequest.objects.get_or_create(key_digest=key_digest, defaults=mine)
    if is_new:
        return Claim(row, is_first=True)
    if row.expires_at <= now:
        fresh: dict[str, Any] = {
            "status": None,
            "headers": {},
            "answer": "",
            "submission": uuid.uuid4(),
            "created_at": now,
        }
        return _taken(row, mine | fresh, is_first=True)
    if not hmac.compare_digest(row.content_digest, content_digest):
        raise KeyReused
    if row.status is not None:
        return row
    if row.claimed_until > now:
        raise InProgress
    return _taken(row, mine, is_first=False)


def _taken(row: IdempotentRequest, changes: dict[str, Any], *, is_first: bool) -> Claim | None:
    unchanged = IdempotentRequest.objects.filter(pk=row.pk, owner=row.owner, claimed_until=row.claimed_until)
    if not unchanged.update(**changes):
        return None
    for name, value in changes.items():
        setattr(row, name, value)
    return Claim(row, is_first=is_first)


def _insist(change: Callable[[], object]) -> None:
    """Change a row, on another connection if this one was lost; and if that fails too, let it be.

    An order that was placed is answered whatever becomes of its row: without a database the claim lapses, and then a
    repetition is carried out with the same submission.
    """
    connection = connections[IdempotentRequest.objects.db]
    for _ in range(2):
        # What the request was lost with: a claim that is not left keeps everybody waiting until it lapses. But a
        # transaction around the request is not ours to end.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        with suppress(DatabaseError):
            change()
            return


def _canonical(data: Any) -> str:
    """Two bodies that differ in nothing but spaces and the order of names are the same request."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _digest(*parts: str) -> str:
    """Under the secret key of the project, which is not where these rows are."""
    return salted_hmac(_SALT, json.dumps(parts), algorithm="sha256").hexdigest()
