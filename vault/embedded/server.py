"""The engine on a port: DynamoDB and KMS for any client that is given this address as its endpoint."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

from vault.embedded.access import Roles
from vault.embedded.engine import services
from vault.embedded.wire import Service

logger = logging.getLogger(__name__)

# DynamoDB's own limit of a request.
_MAX_BODY_BYTES: Final = 16 * 1024 * 1024
# For how long a connection may be silent: longer than the clients of AWS keep an idle one.
_IDLE_SECONDS: Final = 75
_DRAIN_SECONDS: Final = 10


class EmbeddedServer(ThreadingHTTPServer):
    """Answers until `stop` is called from another thread; then requests that were begun are finished.

    Not for anything but laptops and tests: it speaks HTTP in clear, and an access key proves nothing.

    :param roles: what each access key may do; without them everybody may do everything
    """

    # As many wait as the kernel lets: a client that is turned away would wait and ask again.
    request_queue_size = 128
    # Idle connections end with the process.
    daemon_threads = True

    def __init__(self, address: tuple[str, int], directory: Path, roles: Roles | None = None) -> None:
        super().__init__(address, _Handler)
        self.services: Mapping[str, Service] = {each.target: each for each in services(directory, roles).values()}
        self._running = 0
        self._is_idle = threading.Condition()

    def stop(self) -> None:
        """Take no more connections, and return when what was begun is answered or took too long."""
        self.shutdown()
        with self._is_idle:
            self._is_idle.wait_for(lambda: not self._running, _DRAIN_SECONDS)

    def count(self, change: int) -> None:
        """Note that a request begins (1) or ends (-1)."""
        with self._is_idle:
            self._running += change
            self._is_idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's concern; the default prints a traceback, which may quote a request."""


class _Handler(BaseHTTPRequestHandler):
    server: EmbeddedServer

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    # Headers and body are two writes: the second would wait for the first to be acknowledged.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.server.count(1)
        try:
            self._answer()
            self.wfile.flush()
        finally:
            self.server.count(-1)

    def do_GET(self) -> None:
        """What asks whether it is up."""
        self._send(HTTPStatus.OK, {"Content-Type": "text/plain"}, b"healthy\n")

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > _MAX_BODY_BYTES:
            # What follows is not read, so that nothing else is on this connection.
            self.close_connection = True
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLargeException")
            return
        body = self.rfile.read(int(length))
        service = self.server.services.get(self.headers.get("X-Amz-Target", "").partition(".")[0])
        if service is None:
            self._refuse(HTTPStatus.BAD_REQUEST, "UnknownOperationException")
            return
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            headers[name] = value
        try:
            response = service.answer(AWSPreparedRequest("POST", self.path, headers, body, stream_output=False))
            status, content = HTTPStatus(response.status_code), response.content
        except Exception as error:  # noqa: BLE001 - a client of any kind may send anything; its values go nowhere
            logger.error("A request could not be understood (%s)", type(error).__name__)  # noqa: TRY400
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, service.internal_error)
            return
        self._send(status, response.headers, content)

    def _refuse(self, status: HTTPStatus, code: str) -> None:
        self._send(status, {"Content-Type": "application/x-amz-json-1.0"}, b'{"__type":"%s"}' % code.encode())

    def _send(self, status: HTTPStatus, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        """Neither the version of this nor of Python."""
        return "vault-embedded"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """A line for each request would be all that is ever looked at; `vault.embedded.access` logs what is judged."""
