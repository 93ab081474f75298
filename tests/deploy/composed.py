"""What compose.yaml says, as plain processes on this machine: `python -m tests.deploy.composed` writes its file of roles.

A process has the command, the environment and the addresses that the file gives its container; only where something is
differs, such as the port of a service.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from tests import mariadb
from tests.deploy.policies import role_policies
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "deploy" / "compose" / "roles.json"
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
_START_SECONDS = 60


def roles():
    """The roles of the templates, and one that makes what data.yaml makes on AWS."""
    everything = {"Sid": "Provision", "Effect": "Allow", "Action": ["dynamodb:*", "kms:*"], "Resource": "*"}
    return role_policies() | {"setup": [{"Version": "2012-10-17", "Statement": [everything]}]}


def image(instruction):
    """The arguments of an instruction of the Dockerfile that is a list."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return next(json.loads(line.partition(" ")[2]) for line in lines if line.startswith(f"{instruction} ["))


class Composed:
    """The services of compose.yaml, each of which may be started once."""

    def __init__(self, folder: Path, database: mariadb.Server) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("aws", "web", "data-access")}
        socket = database.url.rpartition("unix_socket=")[2]
        self._places = {
            "@db:3306/billing": f"@localhost/billing?unix_socket={socket}",
            "http://aws:8100": f"http://127.0.0.1:{self.ports['aws']}",
            "8100": str(self.ports["aws"]),
            "0.0.0.0": "127.0.0.1",  # noqa: S104
            "/tmp/vault": str(folder / "vault"),  # noqa: S108
            "/etc/billing/roles.json": str(ROLES),
        }

    def command(self, words):
        return [self._here(word) for word in words]

    def environment(self, name):
        own = {key: self._here(str(value)) for key, value in SERVICES[name].get("environment", {}).items()}
        binaries = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        port = str(self.ports.get(name, 0))
        return {"PATH": binaries, "DATA_DIR": str(self.folder), "PYTHONUNBUFFERED": "1", "PORT": port} | own

    def _here(self, text):
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text

    def run(self, name, words):
        """What a command in the container of a service does."""
        command = self.command(words)
        return subprocess.run(
            command, env=self.environment(name), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
        )

    @contextmanager
    def started(self, name):
        """The service, once it is healthy by its own health check. It has to stop by itself when it is told to."""
        words = SERVICES[name].get("command") or image("CMD")
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.command(words), env=self.environment(name), cwd=ROOT, stdout=log, stderr=log, process_group=0
            )
        try:
            self._wait(name, process)
            yield process
        finally:
            process.terminate()
            process.wait(60)

    def _wait(self, name, process):
        kind, *check = SERVICES[name]["healthcheck"]["test"]
        assert kind == "CMD"
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if self.run(name, check).returncode == 0:
                return
        raise AssertionError((self.folder / f"{name}.log").read_text()[-2000:])


@contextmanager
def database():
    """A server with what the image of MariaDB makes of the environment of `db`."""
    made = SERVICES["db"]["environment"]
    statements = (
        f"CREATE DATABASE {made['MARIADB_DATABASE']} CHARACTER SET utf8mb4;"
        f"CREATE USER {made['MARIADB_USER']}@localhost IDENTIFIED BY '{made['MARIADB_PASSWORD']}';"
        f"GRANT ALL ON {made['MARIADB_DATABASE']}.* TO {made['MARIADB_USER']}@localhost;"
    )
    with mariadb.serving() as server:
        socket = server.url.rpartition("unix_socket=")[2]
        client = [mariadb.program("mariadb"), "--no-defaults", "--user=root", f"--socket={socket}"]
        subprocess.run(client, input=statements, text=True, check=True)
        yield server


@contextmanager
def up(folder):
    """All of it, in the order that `depends_on` has; what `setup` said."""
    with ExitStack() as stack:
        composed = Composed(folder, stack.enter_context(database()))
        stack.enter_context(composed.started("aws"))
        done = composed.run("setup", SERVICES["setup"]["command"])
        assert done.returncode == 0, done.stderr[-2000:]
        servers = {name: stack.enter_context(composed.started(name)) for name in ("web", "data-access")}
        yield composed, servers, done.stdout


def said(text, label):
    """The words behind a label of the demo."""
    return next(shlex.split(line) for line in text.splitlines() if line.split()[:1] == [label])[1:]


if __name__ == "__main__":
    ROLES.write_text(json.dumps(roles(), indent=2) + "\n")
