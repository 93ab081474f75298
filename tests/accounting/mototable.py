"""`python -m tests.accounting.mototable FOLDER` answers as AWS does, by moto, on a port of loopback.

Moto's own server needs a framework for the web; here a request of the network is handed to moto as a hook of botocore
is. Everything is in memory, so it is not killed. Moto's conditional writes are not atomic between threads: one request
after the other.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.core.models import botocore_stubber

_START_SECONDS = 60
_HOSTS = {"DynamoDB_20120810": "dynamodb", "TrentService": "kms"}
_one_at_a_time = threading.Lock()


@contextmanager
def serving_moto(folder: Path) -> Iterator[dict[str, str]]:
    """The settings of a vault whose AWS is a moto in a process of its own, for as long as the context lasts."""
    with running_moto(folder) as (settings, _):
        yield settings


@contextmanager
def running_moto(folder: Path) -> Iterator[tuple[dict[str, str], subprocess.Popen[bytes]]]:
    """The same, and the process, for those who want to stop it."""
    with (folder / "moto.log").open("wb") as log:
        command = [sys.executable, "-W", "ignore", "-m", "tests.accounting.mototable", str(folder)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        port, deadline = folder / "port", time.monotonic() + _START_SECONDS
        while not port.exists():
            is_coming = process.poll() is None and time.monotonic() < deadline
            assert is_coming, (folder / "moto.log").read_text()[-2000:]
            time.sleep(0.05)
        yield {"VAULT_ENDPOINT_URL": f"http://127.0.0.1:{port.read_text()}"}, process
    finally:
        process.kill()
        process.wait()


class Handler(BaseHTTPRequestHandler):
    """Answers requests of one connection."""

    protocol_version = "HTTP/1.1"
    # Headers and body are two writes: the second would wait for the first to be acknowledged.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "").partition(".")[0]
        region = self.headers.get("Authorization", "").split("/")[2]
        url = f"https://{_HOSTS[target]}.{region}.amazonaws.com/"
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            headers[name] = value
        headers.replace_header("Host", url.split("/")[2])
        request = AWSPreparedRequest(method="POST", url=url, headers=headers, body=body, stream_output=False)
        with _one_at_a_time:
            response = botocore_stubber("before-send", request)
            content = response.content
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            if name.lower() not in {"content-length", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        """A line for each request would be all that is ever looked at."""


class Server(ThreadingHTTPServer):
    # As many connections wait as the kernel lets: one that is turned away would not hang when this process is stopped.
    request_queue_size = 128


def serve(folder: Path) -> None:
    """Answer until killed."""
    with mock_aws():
        server = Server(("127.0.0.1", 0), Handler)
        draft = folder / "port.new"
        draft.write_text(str(server.server_port))
        draft.rename(folder / "port")
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
