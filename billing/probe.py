"""`python -m billing.probe`: ends with 0 if the server of this container answers, with 1 if not.

It asks /healthz, which needs neither the database nor AWS: a container is not replaced for what its replacement would
not have either. Without Django, as it runs every few seconds.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from typing import Final

_SECONDS: Final = 4


def is_alive() -> bool:
    """Whether the server at BIND and PORT, over TLS if WEB_TLS says so, answers that it lives."""
    host = os.environ.get("BIND", "127.0.0.1")
    # The server listens everywhere.
    host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
    port = int(os.environ.get("PORT", "8000"))
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    if os.environ.get("WEB_TLS") == "ephemeral":
        context = ssl.create_default_context()
        # It made its certificate itself, and nobody is between the two.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_alive() else 1)
