"""The memory of a process with cards, keys and passwords stays in it, also when it crashes."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # of <sys/prctl.h>


def forbid() -> None:
    """No core file is written of this process, and no other one of the same user may look into it.

    A container of Fargate has no limit of its own for core files, so the process sets one. Where the kernel pipes a
    core to a program the limit does not count; that a process must not be dumped does, and closes `/proc/PID/mem` and
    `/proc/PID/environ` as well to whoever is not root. Both are inherited by a fork; a program that is started with
    `exec` keeps the limit alone. Raises `OSError` where the kernel refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
