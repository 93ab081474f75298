"""Which process a run belongs to, so that two do not count the same pages."""

from __future__ import annotations

import os
import socket
import uuid
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from vault.models import Run

#: After this long without a word, a process that cannot be looked for is taken for dead.
LEASE: Final = timedelta(minutes=10)
#: Where the owner of a run stands in its position.
OWNER: Final = "owner"


def new_owner() -> dict[str, Any]:
    """This process, and a name that no other owner has."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "id": str(uuid.uuid4())}


def is_held(run: Run) -> bool:
    """True if a process may be working on the run: it said so lately, and is not known to be dead."""
    owner = run.position.get(OWNER)
    return owner is not None and timezone.now() - run.updated_at < LEASE and not _is_dead(owner)


def _is_dead(owner: dict[str, Any]) -> bool:
    if owner["host"] != socket.gethostname():
        return False
    if owner["pid"] == os.getpid():
        # A container that begins anew has the same name, and its processes have the same numbers.
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        # Somebody else's: there it is.
        return False
    return False
