"""Real processes that crash, and neighbors of the same user who would like to look into them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.billing.test_production import GOOD, GUNICORN, ROOT
from tests.servers import free_port

# Starts a command, waits until its server answers or, without one, a line of it, and reads it and its children.
NEIGHBOR = """
import pathlib, subprocess, sys, time, urllib.request
port, *command = sys.argv[1:]
process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
if not int(port):
    process.stdout.readline()
for _ in range(300 if int(port) else 0):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz")
        break
    except OSError:
        time.sleep(0.1)
children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
for pid in [process.pid, *children]:
    for name in ("mem", "environ"):
        try:
            open(f"/proc/{pid}/{name}", "rb").close()
            print("open")
        except PermissionError:
            print("closed")
process.terminate()
process.wait()
"""
OTHER = "import sys; print('ready', flush=True); sys.stdin.read()"
WAITS = "import django, sys; django.setup(); print('ready', flush=True); sys.stdin.read()"


def environment(folder):
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data")}
    urls = {"DATABASE_URL": f"sqlite:///{folder}/a", "AUDIT_DATABASE_URL": f"sqlite:///{folder}/b"}
    return variables | GOOD | urls | {"DJANGO_SETTINGS_MODULE": "billing.settings.production"}


def crashed(folder, script, number):
    """The core files that are left of a process, which is allowed as many as the machine allows."""
    folder.mkdir()
    command = ["bash", "-c", 'ulimit -c "$(ulimit -H -c)"; exec "$@"', "-", sys.executable, "-c"]
    variables = environment(folder)
    script = f"{script}; import os; os.kill(os.getpid(), {int(number)})"
    done = subprocess.run([*command, script], env=variables, cwd=folder, capture_output=True, check=False)
    assert done.returncode == -number
    cores = list(folder.glob("core*"))
    for core in cores:
        core.unlink()
    return cores


@pytest.mark.skipif(Path("/proc/sys/kernel/core_pattern").read_text()[0] in "|/", reason="core files go elsewhere here")
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_process_that_crashes_leaves_no_memory_behind(tmp_path, number):
    if not crashed(tmp_path / "another", "pass", number):
        pytest.skip("nobody leaves a core file here")
    assert crashed(tmp_path / "ours", "import django; django.setup()", number) == []


def test_a_program_that_it_starts_leaves_none_either(tmp_path):
    script = "import django, os; django.setup(); os.execlp('bash', 'bash', '-c', 'ulimit -H -c')"
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, env=environment(tmp_path), text=True) == "0\n"


def seen_by_a_neighbor(folder, command, *, port=0):
    """What another process of the same user may open of a command and its children."""
    # Root may always. Without its privileges it is a user like any other.
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*unprivileged, sys.executable, "-c", NEIGHBOR, str(port), sys.executable, *command],
        env=environment(folder) | {"PORT": str(port), "WEB_CONCURRENCY": "1", "SENTRY_DSN": ""},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_command_is_closed_to_its_neighbors(tmp_path):
    if seen_by_a_neighbor(tmp_path, ["-c", OTHER]) != ["open"] * 2:
        pytest.skip("nobody looks into anybody here")
    assert seen_by_a_neighbor(tmp_path, ["-c", WAITS]) == ["closed"] * 2


def test_a_server_and_its_workers_are_closed_to_their_neighbors(tmp_path):
    port = free_port()
    assert seen_by_a_neighbor(tmp_path, GUNICORN, port=port) == ["closed"] * 4
