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
from typing import NoReturn

INSTALL = "sudo apt-get install -y mariadb-server"
# The data lives as long as the tests: no need to wait for the disk. What measures waits as production does.
FLUSH = {False: "--innodb-flush-log-at-trx-commit=0", True: "--innodb-flush-log-at-trx-commit=1"}
START_SECONDS = 30
STOP_SECONDS = 30
# A table is made ten times as fast where no disk has to confirm it.
MEMORY = Path("/dev/shm")  # noqa: S108 - a new folder in it, which nobody else can enter
ENOUGH_MEMORY = 4 * 1024**3
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


def program(name: str) -> str:
    """The path of a program of MariaDB. Raises `MariaDBError` if it is not installed."""
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        raise MariaDBError(f"{name} was not found. Run this first: {INSTALL}")
    return path


class Server:
    """A MariaDB in a folder of its own, which may be stopped, killed and started again with the data that it has."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.url = f"mysql://root@localhost/billing?unix_socket={folder / 'socket'}"
        self._folder = folder
        self._log = folder / "log"
        self._flush = FLUSH[durable]
        self._mariadbd = program("mariadbd")
        # MariaDB refuses to run as root unless told so.
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def prepare(self) -> None:
        """Make what a server has before its first start. Raises `MariaDBError`."""
        command = [program("mariadb-install-db"), "--no-defaults", f"--datadir={self._folder / 'data'}"]
        # The folder is the lock: whoever can enter it is root without a password.
        command += ["--skip-test-db", "--auth-root-authentication-method=normal", *self._user]
        with self._log.open("ab") as output:
            if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
                raise MariaDBError("MariaDB could not be prepared; its log is above.")

    def start(self) -> None:
        """Start, and return when connections are accepted. Raises `MariaDBError`."""
        socket = self._folder / "socket"
        # A killed server leaves it behind.
        socket.unlink(missing_ok=True)
        # A server must not outlive a killed test run.
        guard = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
        places = [f"--datadir={self._folder / 'data'}", f"--socket={socket}", f"--tmpdir={self._folder}"]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [*guard, self._mariadbd, *OPTIONS, self._flush, *places, *self._user],
                stdout=output,
                stderr=output,
                # Ctrl-C goes to the command; the server is stopped after it.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        # The socket appears when the server accepts connections.
        while not socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise MariaDBError("MariaDB did not start; its log is above.")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop, and kill if that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def freeze(self) -> None:
        """Stop it as it is: the kernel takes its connections, and nothing is answered until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Stop with SIGKILL, as a machine does that loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def serving(*, durable: bool = False) -> Iterator[Server]:
    """A fresh server that is running; it is gone afterwards.

    Raises `MariaDBError` if MariaDB is not installed, or if it does not start; then its log is on stderr.
    """
    folder = Path(tempfile.mkdtemp(prefix="mariadb-", dir=None if durable else _memory()))
    server = None
    try:
        server = Server(folder, durable=durable)
        server.prepare()
        server.start()
        yield server
    except MariaDBError:
        sys.stderr.write(server.log if server else "")
        raise
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """Where files are kept in memory; None if that is small, or somebody wants them elsewhere."""
    if "TMPDIR" in os.environ or not MEMORY.is_dir():
        return None
    return MEMORY if shutil.disk_usage(MEMORY).free > ENOUGH_MEMORY else None


@contextlib.contextmanager
def running(*, durable: bool = False) -> Iterator[str]:
    """The `DATABASE_URL` of a fresh server; see `serving`."""
    with serving(durable=durable) as server:
        yield server.url


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
