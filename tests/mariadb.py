"""`python -m tests.mariadb [--durable] -- COMMAND ...` runs a command against a MariaDB of its own.

The server listens on a socket in a temporary folder that only this user can enter, never on a port. `DATABASE_URL`
names it. Whatever happens to the command, the server is stopped and its folder deleted; the exit code is the command's.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

INSTALL = "sudo apt-get install -y mariadb-server"
# The data lives as long as the tests: no need to wait for the disk. What measures waits as production does.
FLUSH = {False: "--innodb-flush-log-at-trx-commit=0", True: "--innodb-flush-log-at-trx-commit=1"}
START_SECONDS = 30
STOP_SECONDS = 30
# Debian keeps servers where a user's PATH does not look.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
OPTIONS = [
    # First by MariaDB's own rule; keeps the machine's configuration out.
    "--no-defaults",
    "--skip-networking",
    "--character-set-server=utf8mb4",
    "--skip-log-bin",
    "--max-connections=600",
]


class MariaDBError(Exception):
    """MariaDB is missing or did not start; the message says which, and what to do."""


def _program(name: str) -> str:
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        raise MariaDBError(f"{name} was not found. Run this first: {INSTALL}")
    return path


def _prepare(data: Path, user: list[str], log: BinaryIO) -> None:
    command = [_program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--skip-test-db", *user]
    # The folder is the lock: whoever can enter it is root without a password.
    command.append("--auth-root-authentication-method=normal")
    if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
        raise MariaDBError("MariaDB could not be prepared; its log is above.")


def _wait_until_ready(server: subprocess.Popen[bytes], socket: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    # The socket appears when the server accepts connections.
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise MariaDBError("MariaDB did not start; its log is above.")
        time.sleep(0.05)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextlib.contextmanager
def running(*, durable: bool = False) -> Iterator[str]:
    """The `DATABASE_URL` of a fresh server, which is gone afterwards.

    Raises `MariaDBError` if MariaDB is not installed, or if it does not start; then its log is on stderr.
    """
    mariadbd = _program("mariadbd")
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    data, socket, log = folder / "data", folder / "socket", folder / "log"
    # MariaDB refuses to run as root unless told so.
    user = ["--user=root"] if os.geteuid() == 0 else []
    # A server must not outlive a killed test run.
    guard = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
    try:
        with log.open("wb") as output:
            _prepare(data, user, output)
            server = subprocess.Popen(
                [
                    *guard,
                    mariadbd,
                    *OPTIONS,
                    FLUSH[durable],
                    f"--datadir={data}",
                    f"--socket={socket}",
                    f"--tmpdir={folder}",
                    *user,
                ],
                stdout=output,
                stderr=output,
                # Ctrl-C goes to the command; the server is stopped after it.
                start_new_session=True,
            )
            try:
                _wait_until_ready(server, socket)
                yield f"mysql://root@localhost/billing?unix_socket={socket}"
            finally:
                _stop(server)
    except MariaDBError:
        sys.stderr.write(log.read_text(errors="replace"))
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


def main(arguments: list[str]) -> int:
    durable = arguments[:1] == ["--durable"]
    command = arguments[1:] if durable else arguments
    command = command[1:] if command[:1] == ["--"] else command
    if not command:
        sys.stderr.write("Usage: python -m tests.mariadb [--durable] -- COMMAND ...\n")
        return 2
    signal.signal(signal.SIGTERM, _leave)
    try:
        with running(durable=durable) as url:
            return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode
    except MariaDBError as error:
        sys.stderr.write(f"{error}\n")
    except FileNotFoundError:
        sys.stderr.write(f"No such command: {command[0]}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
