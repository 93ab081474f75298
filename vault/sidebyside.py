"""Calls of AWS side by side: while some are waited for, the next is made ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

#: More do not help: what botocore itself does for a call takes its turn under the interpreter's lock.
CALLS_AT_ONCE: Final = 4

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


def side_by_side(
    send: Callable[[_Request], _Answer], requests: Iterable[_Request], *, is_one: bool
) -> Iterator[tuple[_Request, _Answer]]:
    """Each request, and what it was answered, in order.

    Requests are made here, where SQL may be asked, each as late as can be; `send` runs in threads, with at most
    CALLS_AT_ONCE at work, or here if `is_one` says that there is one request alone. What making or sending one raises
    comes as it is: no more are made then, and what is on its way is waited for.
    """
    if is_one:
        for request in requests:
            yield request, send(request)
        return
    on_their_way: deque[tuple[_Request, Future[_Answer]]] = deque()
    with ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="vault-aws") as threads:
        for request in requests:
            if len(on_their_way) == CALLS_AT_ONCE:
                yield _answered(*on_their_way.popleft())
            on_their_way.append((request, threads.submit(copy_context().run, send, request)))
        while on_their_way:
            yield _answered(*on_their_way.popleft())


def _answered(request: _Request, future: Future[_Answer]) -> tuple[_Request, _Answer]:
    return request, future.result()
