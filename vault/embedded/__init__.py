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

from vault.embedded.access import Roles, RolesRefused
from vault.embedded.engine import services

__all__ = ["Roles", "RolesRefused", "ServiceNotEmbedded", "install"]


class ServiceNotEmbedded(BotoCoreError):
    """A request for a service other than DynamoDB and KMS was stopped before it left."""

    fmt = "The embedded engine answers DynamoDB and KMS alone; the request was not sent."


def install(session: botocore.session.Session, directory: Path, *, roles: Roles | None = None) -> None:
    """Answer every DynamoDB and KMS request of `session` from the files in `directory`, and refuse all others.

    Call it once per session and before its first client: a client copies the handlers that it finds. The directory is
    created on the first request. Threads and processes may share it, and a fork at any time is safe. Where another
    handler of `before-send` answers or raises, the request is not performed, as it would not be sent.

    :param roles: what each access key may do; without them everybody may do everything
    """
    embedded = services(directory, roles)

    def answer(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        service = embedded.get(event_name.split(".")[1])
        if service is None:
            raise ServiceNotEmbedded
        return service.answer(request)

    # On the event of all services and last: handlers of one service run before these, whatever their order.
    events = session.get_component("event_emitter")
    events.register_last("before-send", answer, unique_id="vault.embedded")
