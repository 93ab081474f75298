"""A consumer of webhooks on this machine. It verifies signatures with code of its own."""

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Got:
    path: str
    headers: dict
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def event(self):
        return json.loads(self.body)


class Consumer:
    """Answers by path: `/204`, `/500`, `/hang`; `answers` says otherwise, one for each request."""

    def __init__(self):
        self.got: list[Got] = []
        self.answers: list = []
        self.headers: dict[str, str] = {}
        self.released = threading.Event()
        consumer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                consumer.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = consumer.answers.pop(0) if consumer.answers else self.path.partition("?")[0].strip("/")
                if answer == "hang":
                    consumer.released.wait(30)
                    return
                if answer == "drip":
                    while not consumer.released.wait(0.1):
                        self.wfile.write(b"H")
                    return
                if answer == "break":
                    return
                self.send_response(int(answer))
                for name, value in consumer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"what a consumer answered")

            def log_message(self, *_):
                """Nothing."""

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    """Whoever sent it has gone."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def consumer():
    made = Consumer()
    yield made
    made.close()


def is_signed(got: Got, secret: str) -> bool:
    """As the specification of Standard Webhooks words it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{got.id}.{got.headers['webhook-timestamp']}.".encode() + got.body
    mine = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(
        version == "v1" and hmac.compare_digest(value, mine)
        for version, _, value in (each.partition(",") for each in got.headers["webhook-signature"].split(" "))
    )
