"""From an empty terminal to the token of a card, with the real processes; and what ends it from another process."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings

from tests.processes import installation

__all__ = ["installation"]
# Databases are made on the private server.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().split("## First steps with the API")[1].split("\n## ")[0]
# A command goes on in the next line after a backslash.
COMMANDS = re.search(r"```sh\n(.*?)```", SECTION, re.DOTALL).group(1).replace("\\\n", "").strip().splitlines()
ORDERS = "/api/v1/orders/"


@pytest.fixture
def server(installation):
    """The address of the web server of an installation with the demo in it."""
    installation.manage("createcachetable")
    installation.manage("demo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    installation.environment["PORT"] = str(port)
    process = installation._start("-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi")
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/healthz"):
            break
        time.sleep(0.1)
    yield url
    process.send_signal(signal.SIGTERM)
    process.wait()


def ask(url, token, body=None):
    """Status and content of an answer."""
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def statuses(server, *tokens):
    return [ask(server + ORDERS, token)[0] for token in tokens]


def test_the_readme_needs_three_commands():
    run, token, keep = COMMANDS
    assert re.search("git clone .* && cd billing && make run ", run)
    assert token == "export TOKEN=$(make -s token)"
    assert keep.startswith("curl http://127.0.0.1:8000/api/v1/tokens/ ")
    assert '"Authorization: Token $TOKEN"' in keep


def test_they_end_with_the_token_of_a_card(installation, server):
    token = installation.manage("create_api_token", "shop-api", "--replace-oldest").removesuffix("\n")
    body = re.search("-d '(.*)'", COMMANDS[2]).group(1).encode()
    status, kept = ask(f"{server}/api/v1/tokens/", token, body)
    assert status in {200, 201}
    assert kept["token"].startswith("tok1_")
    assert installation.manage("api_account", "shop-api").count("last used 2") == 1


def test_revoked_by_another_process_it_is_dead_at_once(installation, server):
    first, second = (installation.manage("create_api_token", "shop-api").strip() for _ in range(2))
    assert statuses(server, first, second) == [200, 200]
    third = installation.manage("create_api_token", "shop-api", "--replace-oldest").strip()
    assert statuses(server, first, second, third) == [401, 200, 200]
    shown = installation.manage("api_account", "shop-api")
    installation.manage(
        "api_account", "shop-api", "--revoke", re.findall("^  ([0-9a-f]{11})  ", shown, re.MULTILINE)[0]
    )
    assert statuses(server, second, third) == [401, 200]
    installation.manage("api_account", "shop-api", "--networks", "10.0.0.0/8")
    assert statuses(server, third) == [401]
    installation.manage("api_account", "shop-api", "--any-network")
    assert statuses(server, third) == [200]
    installation.manage("api_account", "shop-api", "--revoke-all")
    assert statuses(server, third) == [401]


@pytest.mark.parametrize("flag", ["is_active", "is_staff"])
def test_an_account_that_is_none_any_more_is_out_at_once(installation, server, flag):
    token = installation.manage("create_api_token", "shop-api").strip()
    assert statuses(server, token) == [200]
    installation.run(f"""
from django.contrib.auth.models import User
user = User.objects.get(username="shop-api")
user.{flag} = not user.{flag}
user.save()
print("done")""")
    assert statuses(server, token) == [401]


@pytest.mark.skipif(settings.DATABASES["default"]["ENGINE"].endswith("mysql"), reason="`make run` is on SQLite")
@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="`make token` takes the Python of .venv")
def test_make_token_prints_a_token_and_nothing_else_for_ever(installation):
    installation.manage("demo")
    made = [make_token(installation.folder) for _ in range(4)]
    assert [done.returncode for done in made] == [0] * 4
    assert all(re.fullmatch("[0-9a-f]{64}\n", done.stdout) for done in made)
    assert "".join(done.stderr for done in made) == ""
    assert installation.manage("api_account", "shop-api").count("never used") == 2


@pytest.mark.parametrize("there", ["folder", "vault", "nothing"])
@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="`make token` takes the Python of .venv")
def test_make_token_says_what_comes_first(tmp_path, there):
    folder = tmp_path / "data"
    {"nothing": lambda: None, "folder": folder.mkdir, "vault": lambda: (folder / "vault").mkdir(parents=True)}[there]()
    done = make_token(folder)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Run `make run` first" in done.stderr


def make_token(folder):
    return subprocess.run(
        ["make", "-s", "token"],
        cwd=ROOT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "DATA_DIR": str(folder), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
