"""Disks that fill up: a small file system in memory where tests may mount one, a limit of the process elsewhere."""

import os
import resource
import shutil
import subprocess
from contextlib import contextmanager

_SIZE = 24 * 1024 * 1024


class Disk:
    """A disk with room in it until `fill`, and again after `free`. `folder` is on it."""

    def __init__(self, folder, *, is_mounted):
        self.folder = folder
        self._is_mounted = is_mounted
        self._filler = folder / "filler"
        self._limited = []

    def fill(self, *pids):
        """Leave no room. `pids` are the processes that write, for where there is no disk to fill."""
        if not self._is_mounted:
            # A file cannot grow, whatever its size: writing gives EFBIG where a full disk gives ENOSPC.
            self._limited = [(pid, resource.prlimit(pid, resource.RLIMIT_FSIZE)) for pid in pids]
            for pid, (_, most) in self._limited:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
            return
        with self._filler.open("wb", buffering=0) as file:
            for size in (64 * 1024, 512):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    continue

    def free(self):
        """Make room again."""
        self._filler.unlink(missing_ok=True)
        for pid, limits in self._limited:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def small_disk(folder):
    """A disk of its own at `folder`, an empty one."""
    mount = shutil.which("mount")
    command = [mount, "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)] if mount else ["false"]
    is_mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield Disk(folder, is_mounted=is_mounted)
    finally:
        if is_mounted:
            # Somebody may have a file open still; it goes when they do.
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
