"""A stand-in for AWS as a process of its own: `manage.py vault_embedded`."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FIRST_WORDS = "Listening on "


@dataclass
class StandIn:
    """Where it answers, the process, and what it says."""

    url: str
    process: subprocess.Popen
    log: Path


@contextmanager
def standing_in(directory, *, roles=None, **environment):
    """DynamoDB and KMS from the files in `directory`, for as long as the context lasts.

    :param roles: the policies of each access key; without them everybody may do everything
    """
    with tempfile.TemporaryDirectory(prefix="stand-in-") as own:
        folder = Path(own)
        command = [
            sys.executable,
            "-W",
            "ignore",
            "manage.py",
            "vault_embedded",
            "--port=0",
            f"--directory={directory}",
        ]
        if roles is not None:
            (folder / "roles.json").write_text(json.dumps(roles))
            command.append(f"--roles={folder / 'roles.json'}")
        log = folder / "log"
        variables = {
            "DJANGO_SETTINGS_MODULE": "billing.settings.local", "DATA_DIR": str(folder),
            "PATH": os.environ["PATH"], **environment,
        }  # fmt: skip
        with log.open("wb") as errors:
            process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            said = process.stdout.readline()
            assert said.startswith(_FIRST_WORDS), log.read_text()[-2000:]
            yield StandIn(said.removeprefix(_FIRST_WORDS).strip(), process, log)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
