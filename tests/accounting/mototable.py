"""`python -m tests.accounting.mototable FOLDER` serves moto on a port of loopback, and writes the port into a file.

Moto has everything in memory, so it is not killed. Its conditional writes are not atomic between threads: one request
after the other.
"""

import sys
import threading
from pathlib import Path

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class OneAtATime:
    """A WSGI application that answers one request after the other, whatever it is served by."""

    def __init__(self, application) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        with self._lock:
            return list(self._application(environ, start_response))


def serve(folder: Path) -> None:
    """Answer until killed."""
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    draft = folder / "port.new"
    draft.write_text(str(server.port))
    draft.rename(folder / "port")
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
