"""What gunicorn logs of a request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from gunicorn.glogging import Logger as GunicornLogger

ANSWERED: Final = "A request was answered."
REQUEST_ID: Final = "Request-Id"


class Logger(GunicornLogger):  # type: ignore[misc]
    """gunicorn's own, whose access lines are fields: method, path, status, bytes, milliseconds, address and request id.

    No query, no Referer, no User-Agent and no other header: a person may have put a card number in any of them. The
    request id is that of the application's answer, which its other log lines and its audit events have as well.
    """

    def access(self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta) -> None:
        fields = {
            "client": environ.get("REMOTE_ADDR", "-"),
            "method": environ.get("REQUEST_METHOD", "-"),
            "path": environ.get("PATH_INFO") or getattr(req, "path", None) or "-",
            "status": int(str(resp.status).split(None, 1)[0]),
            "bytes": getattr(resp, "sent", None),
            "milliseconds": round(request_time.total_seconds() * 1000),
            "request_id": dict(resp.headers).get(REQUEST_ID, ""),
        }
        self.access_log.info(ANSWERED, extra=fields)
