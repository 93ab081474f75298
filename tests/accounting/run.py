"""A run: starts the workers, kills what can be killed, and lets all come to rest before the books are compared."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.accounting.operations import share

#: What the processes of a run have in their environment. A key list is good for two seconds.
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "tests.accounting.settings",
    "VAULT_KEYS_MAX_AGE": "2",
    "VAULT_DATA_KEY_MAX_ITEMS": "50",
    "VAULT_READ_BUDGET": "1000000",
    "VAULT_API_LIMITS": '{"*": 1000000}',
    "VAULT_REVEAL_APPROVAL": "false",
    "LOG_LEVEL": "WARNING",
}
EMBEDDED = {"VAULT_MATERIALS": "reused", "VAULT_CONNECT_TIMEOUT": "0.25", "VAULT_READ_TIMEOUT": "0.25"}
MOTO = {
    "VAULT_BACKEND": "aws",
    "VAULT_MATERIALS": "per-item",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "VAULT_CONNECT_TIMEOUT": "1",
    "VAULT_READ_TIMEOUT": "4",
}
LATER = "from tests.accounting.closing import let_an_hour_pass\nlet_an_hour_pass()"
#: While it goes on, nothing takes so long that it could be taken for an orphan; at the end all is older than this.
GRACE = "2"
KILLED = -signal.SIGKILL


@dataclass(slots=True)
class Tally:
    """What was done to a run."""

    kills: int = 0
    deaths: int = 0
    cuts: int = 0
    restarts_of_the_server: int = 0
    #: The processes that ended otherwise than they should: what they said last.
    crashes: list[str] = field(default_factory=list)
    killed_processes: set[int] = field(default_factory=set, repr=False)


class Run:
    """Runs over one installation, whose environment has `ENVIRONMENT`.

    :param seed: draws operations, faults, and the moments of kills; see docs/accounting.md for what it reproduces
    :param server: ends and starts the database server; None if it is not this run's own
    """

    def __init__(self, installation, *, seed: str, operations: int, workers: int, deaths: float = 0.02, server=None):
        self.installation = installation
        self.seed, self.operations, self.workers, self.deaths = seed, operations, workers, deaths
        self.server = server
        self.folder = Path(installation.folder).parent / "accounts"
        self._folders = (self.folder, installation.folder)
        self.tally = Tally()
        self._source = random.Random(f"{seed}/parent")  # noqa: S311 - reproducible as far as it goes
        for name in ("books", "inputs", "logs", "tmp"):
            (self.folder / name).mkdir(parents=True)
        (Path(installation.folder) / "imports").mkdir()
        installation.environment["TMPDIR"] = str(self.folder / "tmp")

    def __call__(self) -> list[str]:
        """The whole of it; what does not balance."""
        started = time.monotonic()
        with Nursery(self.installation.environment) as self.nursery:
            self._people()
            self.work()
            worked = time.monotonic()
            self.settle()
        said = self._close()
        self._tell(", ".join(f"{count} {name}" for name, count in sorted(said["counts"].items())))
        self._tell(f"fsck: {json.dumps(said['repaired'])}")
        self._tell(f"searched {said['bytes']} bytes of files in {said['seconds']} seconds")
        self._tell(f"work {worked - started:.0f} s, all of it {time.monotonic() - started:.0f} s; {self.tally}")
        wrong = [*self.tally.crashes, *said["wrong"]]
        for each in wrong:
            self._tell(f"WRONG {each}")
        return wrong

    def _people(self) -> None:
        self.nursery.start("people", self._log("people"), self.folder / "tokens", self.workers)
        while not (ended := self.nursery.ended()):
            time.sleep(0.05)
        assert set(ended.values()) == {0}, self._log("people.err").read_text()

    @staticmethod
    def _tell(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    # --- Under fault -------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Let the workers carry out their shares, each killed and started again until it is through."""
        living = {self._start(slot): slot for slot in range(self.workers)}
        kill_at, cut_at = self._source.randint(10, 40), self._source.randint(5, 20)
        restarts = [part * self.operations // 5 for part in range(1, 5)] if self.server else []
        while living:
            time.sleep(0.02)
            self._replace(living)
            begun = self.begun()
            if living and begun >= kill_at:
                kill_at = begun + self._source.randint(20, 80)
                time.sleep(self._source.uniform(0, 0.3))
                self._kill(self._source.choice(sorted(living, key=living.get)))
            if begun >= cut_at:
                cut_at = begun + self._source.randint(5, 25)
                self._cut_a_connection()
            if restarts and begun >= restarts[0]:
                restarts.pop(0)
                self.server.kill()
                self.server.start()
                self.tally.restarts_of_the_server += 1

    def _replace(self, living: dict[int, int]) -> None:
        """Start the workers again that were killed or killed themselves."""
        for process, code in self.nursery.ended().items():
            slot = living.pop(process)
            if code == KILLED:
                if process not in self.tally.killed_processes:
                    self.tally.deaths += 1
                    self.tally.killed_processes.add(process)
                living[self._start(slot)] = slot
            elif code:
                self.tally.crashes.append(f"worker {slot} ended with {code}: {self._last_words(slot)}")

    def _kill(self, process: int) -> None:
        os.kill(process, signal.SIGKILL)
        self.tally.kills += 1
        self.tally.killed_processes.add(process)

    def begun(self) -> int:
        """How many operations were begun so far."""
        done = 0
        for slot in range(self.workers):
            line = last_line(self.folder / "books" / f"{slot}.jsonl")
            done += min(json.loads(line)["number"] + 1 if line else 0, share(self.operations, slot, self.workers))
        return done

    def _start(self, slot: int, *extra: str) -> int:
        sizes = (f"--operations={self.operations}", f"--workers={self.workers}", f"--deaths={self.deaths}")
        return self.nursery.start("worker", self._log(f"worker-{slot}"), slot, self.folder, self.seed, *sizes, *extra)

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / name

    def _last_words(self, slot: int) -> str:
        return " / ".join(self._log(f"worker-{slot}.err").read_text(errors="replace").splitlines()[-12:])

    def _cut_a_connection(self) -> None:
        if not (server := server_of(self.installation)):
            return
        with server as connection, connection.cursor() as cursor:
            names = database_names(self.installation)
            places = ", ".join(["%s"] * len(names))
            cursor.execute(f"SELECT id FROM information_schema.processlist WHERE db IN ({places})", names)  # noqa: S608
            if found := sorted(key for (key,) in cursor.fetchall()):
                try:
                    cursor.execute(f"KILL CONNECTION {int(self._source.choice(found))}")
                    self.tally.cuts += 1
                except Exception as error:
                    # It was gone already.
                    if error.args[:1] != (1094,):
                        raise

    # --- At rest -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Without faults, half of what is in doubt is sent again, and every import is finished."""
        self.installation.run(f"{LATER}\nprint('done')")
        living = {self._start(slot, "--settle"): slot for slot in range(self.workers)}
        while living:
            time.sleep(0.02)
            for process, code in self.nursery.ended().items():
                slot = living.pop(process)
                if code:
                    self.tally.crashes.append(f"worker {slot} could not settle: {self._last_words(slot)}")
        for file in (self.folder / "inputs").iterdir():
            # The one kind of file that may have card numbers.
            file.unlink()

    def _close(self) -> dict:
        killed = ",".join(map(str, self.tally.killed_processes))
        sizes = (str(self.operations), str(self.workers))
        server = "own" if self.server else "shared"
        result = self.folder / "result.json"
        # What it prints is searched by itself.
        with self._log("closing.out").open("wb") as log:
            code = subprocess.run(
                [*program("closing"), result, self.folder / "books", self.seed, *sizes, killed, server, *self._folders],
                env=self.installation.environment | {"VAULT_ORPHAN_GRACE": GRACE},
                stdout=log,
                stderr=log,
                check=False,
            ).returncode
        assert code == 0, self._log("closing.out").read_text(errors="replace")[-3000:]
        return json.loads(result.read_text())


def last_line(path: Path) -> bytes:
    """The last whole line of a file that may grow meanwhile."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _LONGEST_LINE, 0))
        return b"".join(file.read().split(b"\n")[-2:-1])


_LONGEST_LINE = 4096


def program(name: str) -> list[str]:
    """The command that runs a module of this package, with Django set up before it is imported."""
    return [sys.executable, "-c", f"import django\ndjango.setup()\nfrom tests.accounting.{name} import main\nmain()"]


class Nursery:
    """The process of `tests.accounting.nursery`."""

    def __init__(self, environment: dict[str, str]) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(program("nursery"), env=environment, text=True, bufsize=1, **pipes)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._process.communicate()

    def start(self, role: str, log: Path, *arguments: object) -> int:
        """The number of a new process, which writes to `log`, with two endings."""
        return self._ask({"role": role, "log": str(log), "arguments": list(map(str, arguments))})

    def ended(self) -> dict[int, int]:
        """The processes that ended since, and with which code."""
        return {int(process): code for process, code in self._ask({}).items()}

    def _ask(self, request: dict):
        self._process.stdin.write(f"{json.dumps(request)}\n")
        return json.loads(self._process.stdout.readline())


# --- The server ------------------------------------------------------------------------------------------------


def database_names(installation) -> list[str]:
    """The databases of an installation on a server."""
    urls = (installation.environment.get(name, "") for name in ("DATABASE_URL", "AUDIT_DATABASE_URL"))
    return [urlsplit(url).path[1:] for url in urls if url.startswith("mysql")]


def server_of(installation):
    """A connection of an administrator; None where there is no server."""
    url = installation.environment.get("DATABASE_URL", "")
    return server_at(url) if url.startswith("mysql") else None


def server_at(url: str):
    """A connection of an administrator to the server that an address names."""
    import MySQLdb

    return MySQLdb.connect(unix_socket=parse_qs(urlsplit(url).query)["unix_socket"][0], user="root")
