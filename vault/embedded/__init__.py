"""DynamoDB and KMS without an account: answered from SQLite, in process, where botocore would open a socket.

Everything above the socket is the code that talks to AWS: parameter validation, signing, the guard on the wire,
retries, and the modeled errors. What the engine does not implement it refuses, and nothing reaches the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import BotoCoreError

from vault.embedded import administration, items, sealing, tables, transactions
from vault.embedded.database import Database
from vault.embedded.wire import Service

__all__ = ["ServiceNotEmbedded", "install"]

_DYNAMODB = ("DynamoDB_20120810", "com.amazonaws.dynamodb.v20120810#", "InternalServerError")
_KMS = ("TrentService", "", "KMSInternalException")


class ServiceNotEmbedded(BotoCoreError):
    """A request for a service other than DynamoDB and KMS was stopped before it left."""

    fmt = "The embedded engine answers DynamoDB and KMS alone; the request was not sent."


def install(session: botocore.session.Session, directory: Path) -> None:
    """Answer every DynamoDB and KMS request of `session` from the files in `directory`, and refuse all others.

    Call it once per session and before its first client: a client copies the handlers that it finds. The directory is
    created on the first request. Threads and processes may share it, and a fork at any time is safe. Where another
    handler of `before-send` answers or raises, the request is not performed, as it would not be sent.
    """
    database = Database(directory)
    services = {
        "dynamodb": Service(database, *_DYNAMODB, tables.OPERATIONS | items.OPERATIONS | transactions.OPERATIONS),
        "kms": Service(database, *_KMS, administration.OPERATIONS | sealing.OPERATIONS),
    }

    def answer(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        service = services.get(event_name.split(".")[1])
        if service is None:
            raise ServiceNotEmbedded
        return service.answer(request)

    # On the event of all services and last: handlers of one service run before these, whatever their order.
    events = session.get_component("event_emitter")
    events.register_last("before-send", answer, unique_id="vault.embedded")
