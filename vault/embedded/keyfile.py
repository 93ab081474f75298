"""The master key: 32 random bytes in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from vault.embedded.wire import AWSError

FILE_NAME: Final = "master.key"
_BYTES: Final = 32
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def load(directory: Path) -> bytes:
    """The master key. Refuses a file that is missing, has the wrong length, or is open to other users."""
    try:
        descriptor = os.open(directory / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _sealed("The master key file is missing.") from None
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & _OTHERS:
            raise _sealed("The master key file is open to other users.")
        key = file.read(_BYTES + 1)
    if len(key) != _BYTES:
        raise _sealed("The master key file has the wrong length.")
    return key


def create(directory: Path) -> bytes:
    """The master key, made now unless there is one; of processes that race, one makes it and all return the same."""
    temporary = directory / f".{FILE_NAME}.{secrets.token_hex(8)}"
    try:
        _write(temporary, secrets.token_bytes(_BYTES))
        # A link fails if the name is taken, where a rename would replace the key under which others already wrap.
        os.link(temporary, directory / FILE_NAME)
        _sync(directory)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
    return load(directory)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sealed(message: str) -> AWSError:
    return AWSError("KMSInvalidStateException", message)
