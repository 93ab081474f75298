"""The Dockerfile and the scripts around it, by those who know what is usual."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.deploy.composed import SERVICES

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SCRIPTS = ["deploy/push_image", "deploy/image/build.sh", "deploy/image/builder.sh"]


def said(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_hadolint_has_nothing_to_say():
    assert said(BIN / "hadolint", "Dockerfile") == (0, "")


def test_shellcheck_has_nothing_to_say():
    assert said(BIN / "shellcheck", "--external-sources", *SCRIPTS) == (0, "")


def instructions(name):
    """The arguments of an instruction in what runs, the last stage."""
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    return [line.partition(" ")[2] for line in last.splitlines() if line.startswith(f"{name} ")]


def test_the_image_runs_as_nobody_and_starts_as_the_readme_says():
    assert instructions("USER") == ["10001:10001"]
    assert instructions("ENTRYPOINT") == ['["/usr/bin/tini", "--"]']
    assert instructions("CMD") == ['["gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi"]']
    assert "gunicorn --config billing/gunicorn_conf.py billing.wsgi" in (ROOT / "README.md").read_text()
    assert all(os.access(ROOT / script, os.X_OK) for script in SCRIPTS[:2])


def test_the_health_check_is_the_same_everywhere():
    check = (ROOT / "Dockerfile").read_text().partition("HEALTHCHECK ")[2].splitlines()[0].partition(" CMD ")[2]
    assert json.loads(check) == ["python", "-m", "billing.probe"]
    assert all(SERVICES[name]["healthcheck"]["test"] == ["CMD", *json.loads(check)] for name in ("web", "data-access"))
