"""What is sent to the builder of the image: .dockerignore names what is needed, and the rest stays here."""

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"billing", "locale", "orders", "static", "templates", "vault"}
FILES = {"LICENSE", "manage.py", "pyproject.toml", "requirements.txt", "docs/api-examples.json"}


def patterns():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def is_sent(path):
    """As Docker decides it: of the patterns that match the file or a folder of it, the last one counts."""
    sent = True
    for pattern in patterns():
        named = pattern.removeprefix("!")
        parents = [path, *map(str, Path(path).parents)][:-1]
        if any(_matches(named, each) for each in parents):
            sent = pattern.startswith("!")
    return sent


def _matches(pattern, path):
    # `**/` is any number of folders, none among them; `*` does not go beyond one.
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path.rpartition("/")[2], pattern[3:])
    return "/" not in path.removeprefix(pattern.rpartition("/")[0] + "/") and fnmatch.fnmatchcase(path, pattern)


def test_of_what_is_committed_only_the_application_is_sent():
    committed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    sent = {path for path in committed if is_sent(path)}
    folders = {path.partition("/")[0] for path in sent - FILES}
    assert folders == PACKAGES | {"deploy"}
    assert {path for path in sent if path.startswith("deploy/")} == {"deploy/image/requirements.txt"}
    assert sent >= FILES
    assert len(sent) > 400


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "data/vault/keys",
        "data/secret_key",
        "billing/.env",
        "vault/__pycache__/pan.cpython-311.pyc",
        "tests/cards.py",
        "docs/api.md",
        "deploy/cloudformation/data.yaml",
        "core",
        "cards.csv",
    ],
)
def test_what_may_lie_in_the_folder_is_not(path):
    assert not is_sent(path)


def test_the_lock_of_the_builder_is_of_its_requirements():
    wanted = re.findall(r"^([a-z]+)~=", (ROOT / "deploy/image/requirements.in").read_text(), re.MULTILINE)
    locked = re.findall(r"^([a-z]+)==", (ROOT / "deploy/image/requirements.txt").read_text(), re.MULTILINE)
    assert locked == wanted == ["setuptools"]
