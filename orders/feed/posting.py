"""One request to one consumer. What it answers is not read, but for the status."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http.client import HTTPConnection as PlainConnection, HTTPException
from threading import Event as Flag, Timer
from typing import Final
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 10.0
#: A consumer that sends a byte now and then meets every time-out of a read, but not this one.
EXCHANGE_SECONDS: Final = 15.0
#: Name servers, and hosts with many addresses, can use up the time of a claim before anything is sent.
REACH_SECONDS: Final = 90.0


class Failure(StrEnum):
    """Why there was no answer."""

    NAME = "name"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of an answer, or why there was none. `retry_after` is in seconds."""

    duration_ms: int
    status: int | None = None
    error: str = ""
    retry_after: float | None = None

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a body once. Raises nothing, follows no redirect, uses no proxy, and believes no certificate unverified."""
    started = time.monotonic()
    try:
        status, retry_after = _exchange(url, body, headers, started)
    except _FAILURES as error:
        return Answer(_since(started), error=_failure(error).value)
    return Answer(_since(started), status=status, retry_after=_seconds(retry_after))


_FAILURES: Final = (OSError, HTTPError, HTTPException, ValueError)


def _exchange(url: str, body: bytes, headers: Mapping[str, str], started: float) -> tuple[int, str]:
    # A connection and no pool manager: that is what would take proxies from the environment, and follow redirects.
    parts = urlsplit(url)
    connection = (
        HTTPSConnection(
            parts.hostname or "", parts.port, timeout=CONNECT_SECONDS, ssl_context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else HTTPConnection(parts.hostname or "", parts.port, timeout=CONNECT_SECONDS)
    )
    is_over = Flag()
    try:
        connection.connect()
        if time.monotonic() - started > REACH_SECONDS:
            raise TimeoutError
        # The one given above is for connecting, with what TLS says first.
        connection.timeout = READ_SECONDS
        connection.sock.settimeout(READ_SECONDS)
        timer = Timer(EXCHANGE_SECONDS, _end, [connection.sock, is_over])
        timer.daemon = True
        timer.start()
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            sent = {"Content-Type": "application/json", "User-Agent": "billing-webhooks/1", **headers}
            connection.request("POST", target, body=body, headers=sent, preload_content=False, decode_content=False)
            # As Python reads it: urllib3 logs headers that it cannot parse, with the address and what was answered.
            with closing(PlainConnection.getresponse(connection)) as response:
                return response.status, response.headers.get("Retry-After", "")
        except _FAILURES:
            if is_over.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
    finally:
        connection.close()


def _end(connected: socket.socket, is_over: Flag) -> None:
    is_over.set()
    # Of the socket below TLS: TLS itself may only be ended by the thread that reads from it.
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _failure(error: BaseException) -> Failure:
    match error:
        case NameResolutionError():
            return Failure.NAME
        # A kind of time-out in this version, whatever it was.
        case NewConnectionError():
            return Failure.CONNECT
        case TimeoutError() | ConnectTimeoutError():
            return Failure.TIMEOUT
        case ssl.SSLError() | ssl.CertificateError():
            return Failure.TLS
        case OSError():
            return Failure.CONNECT
        case _:
            return Failure.PROTOCOL


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)


def _seconds(retry_after: str) -> float | None:
    """What `Retry-After` asks for (RFC 9110, 10.2.3); None for what cannot be read."""
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10:  # noqa: PLR2004 - any more is nonsense
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except (TypeError, ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
