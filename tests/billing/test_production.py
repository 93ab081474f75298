"""Production as its operators meet it: `manage.py check --deploy`, commands and gunicorn, each a real process."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import certifi
import httpx
import pytest

from billing import start
from billing.settings import environment
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
GOOD = {
    "SECRET_KEY": "n5Qm-3vXk_ZpTt8LrWcYb2DfHsJgEaUe7KyNxMwBvPqRz1o0123",
    "ALLOWED_HOSTS": "billing.example.com",
    "DATABASE_URL": "mysql://billing:x@db.example.com:3306/billing",
    "AUDIT_DATABASE_URL": "mysql://billing_audit:x@db.example.com:3306/billing_audit",
    "DATABASE_CA": certifi.where(),
    "EMAIL_URL": "smtp+tls://billing:x@mail.example.com:587",
    "VAULT_ALARM_EMAILS": "security@example.com",
    "SURFACES": "web",
    "SENTRY_DSN": "https://key@sentry.example.com/1",
}
CHECK = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
GUNICORN = ("-m", "gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi")
# Everything that a settings module of somebody's own can break and no variable of the environment.
BROKEN = """
from billing.settings.production import *
DEBUG = True
SESSION_COOKIE_SECURE = False
DATABASES["audit"]["OPTIONS"]["ssl_mode"] = "PREFERRED"
LOGGING["loggers"]["botocore"]["level"] = "DEBUG"
LOGGING["handlers"]["own"] = {"class": "logging.StreamHandler"}
LOGGING["loggers"]["orders"] = {"handlers": ["own"]}
SECURE_HSTS_SECONDS = 0
SURFACES = ["web", "pages"]
SILENCED_SYSTEM_CHECKS = ["billing.E001"]
"""
# What gunicorn refuses of that.
REFUSED = {"billing.E001", "billing.E003", "billing.E004", "billing.W004", "vault.W202", "vault.W203"}


def run(command, *, without=(), **more):
    variables = {name: value for name, value in (GOOD | more).items() if name not in without}
    around = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "billing.settings.production",
        "PORT": str(free_port()),
        "WEB_CONCURRENCY": "1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, *command], env=around, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
    )


def ids(text):
    return set(re.findall(r"\b(?:billing|vault|security)\.[EW]\d{3}\b", text))


@pytest.fixture
def broken(tmp_path):
    """The environment of a settings module that breaks all of it."""
    (tmp_path / "broken.py").write_text(BROKEN)
    return {"PYTHONPATH": f"{ROOT}:{tmp_path}", "DJANGO_SETTINGS_MODULE": "broken"}


@pytest.mark.parametrize("surfaces", ["web", "api,admin"])
def test_production_as_documented_has_no_warning(surfaces):
    done = run(CHECK, SURFACES=surfaces)
    assert (done.returncode, ids(done.stderr)) == (0, set()), done.stderr
    assert done.stdout == "System check identified no issues (0 silenced).\n"


def test_what_the_environment_can_break_is_found():
    done = run(
        CHECK,
        SECRET_KEY="x" * 60,
        STAFF_MFA_REQUIRED="false",
        STAFF_IDLE_SECONDS="901",
        IDENTITY_FRESH_SECONDS="901",
        VAULT_BACKEND="embedded",
        VAULT_ALARM_EMAILS="",
        VAULT_REVEAL_APPROVAL="false",
        VAULT_ENDPOINT_URL="http://127.0.0.1:5000",
        SURFACES="web,api,admin",
    )
    assert done.returncode == 1
    # The first refusal of the vault's settings stands for all; security.W009 is Django's word on the same key.
    assert ids(done.stderr) == {
        *("billing.E002", "billing.W001", "billing.W002", "billing.W003", "billing.W008", "security.W009"),
        *("vault.E002", "vault.W201", "vault.W204", "vault.W205"),
    }


def test_what_settings_of_ones_own_can_break_is_found(broken):
    done = run(CHECK, **broken)
    assert done.returncode == 1
    # Silencing one hides it from this command, and from the start of a server nothing.
    assert ids(done.stderr) == REFUSED - {"billing.E001"} | {"security.W004", "security.W012", "security.W018"}


def test_no_server_starts_with_what_must_never_be(broken):
    done = run(GUNICORN, **broken)
    assert done.returncode == 3
    assert start.REFUSED in done.stderr
    assert ids(done.stderr) == REFUSED


@pytest.mark.parametrize(
    ("command", "change", "said"),
    [
        pytest.param(GUNICORN, {"VAULT_BACKEND": "embedded"}, {"vault.E002"}, id="embedded"),
        pytest.param(
            ("manage.py", "vault_check"), {"VAULT_ENDPOINT_URL": "http://127.0.0.1:5000"}, {"vault.E009"}, id="emulator"
        ),
        pytest.param(
            ("manage.py", "demo"),
            {"VAULT_CARD_KEY": "arn:aws:kms:eu-central-1:000000000000:key/a", "SECRET_KEY": "changeme"},
            {"vault.E010", "billing.E002"},
            id="key of an emulator",
        ),
    ],
)
def test_nothing_runs_with_what_is_for_laptops(command, change, said):
    done = run(command, **change)
    assert done.returncode == (3 if command is GUNICORN else 1)
    assert ids(done.stderr) == said


# --- What is missing -----------------------------------------------------------------------------------------------

REQUIRED = ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "AUDIT_DATABASE_URL", "DATABASE_CA", "EMAIL_URL"]
IMPOSSIBLE = {
    "DATABASE_URL": "oracle://billing:hunter2@db.example.com/billing",
    "AUDIT_DATABASE_URL": "mysql://billing:hun/ter2@db.example.com/billing",
    "EMAIL_URL": "gopher://billing:hunter2@mail.example.com",
    "DATABASE_CA": "/nowhere/hunter2.pem",
    "SENTRY_DSN": "http://hunter2@sentry.example.com/1",
    "SURFACES": "web,hunter2",
    "VAULT_BACKEND": "hunter2",
    "LOG_LEVEL": "HUNTER2",
    "LOG_FORMAT": "hunter2",
    "STAFF_MFA_REQUIRED": "hunter2",
    "TRUSTED_PROXIES": "hunter2",
    "DATABASE_READ_TIMEOUT": "-1",
    "VAULT_READ_BUDGET": "0",
    "VAULT_READ_TIMEOUT": "hunter2",
    "VAULT_PURPOSE_RULES": '["hunter2"]',
    "SECRET_KEY_FILE": "/nowhere/hunter2",
}


def named(text):
    """What a message of one screen says of variables."""
    # Before it, gunicorn logs that it starts.
    first, *lines, last = (line for line in text.splitlines() if not line.startswith("{"))
    assert (first, last) == (environment.HEADING, environment.ENDING)
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 80
    return [line.partition(":")[0] for line in lines]


@pytest.mark.parametrize(
    "command",
    [("manage.py", "check", "--deploy"), ("manage.py", "vault_check"), ("manage.py", "migrate"), GUNICORN],
    ids=lambda command: command[1],
)
def test_all_that_is_missing_is_said_at_once(command):
    done = run(command, without=REQUIRED)
    assert (done.returncode, done.stdout) == (1, "")
    assert named(done.stderr) == REQUIRED


@pytest.mark.parametrize("command", [("manage.py", "vault_check"), GUNICORN], ids=lambda command: command[1])
def test_what_is_impossible_is_named_and_never_repeated(command):
    done = run(command, **IMPOSSIBLE)
    assert (done.returncode, done.stdout) == (1, "")
    assert sorted(named(done.stderr)) == sorted({name.removesuffix("_FILE") for name in IMPOSSIBLE})
    assert not re.search("hun/?ter2", done.stderr, re.IGNORECASE)


def test_more_than_a_screen_holds_is_counted():
    numbers = ("DATA_KEY_MAX_AGE", "DATA_KEY_MAX_ITEMS", "KEYS_MAX_AGE", "CRYPTOPERIOD_DAYS", "RETENTION_AFTER_EXPIRY")
    done = run(("manage.py", "check"), without=REQUIRED, **IMPOSSIBLE, **{f"VAULT_{each}": "x" for each in numbers})
    assert named(done.stderr)[:2] == ["ALLOWED_HOSTS", "DATABASE_URL"]
    assert done.stderr.splitlines()[-2] == "... and 3 more"


def test_help_needs_no_settings():
    done = run(("manage.py", "help"), without=REQUIRED)
    assert done.returncode == 0
    assert "migrate" in done.stdout.split()


def test_settings_of_ones_own_that_forget_to_ask_are_refused_as_well(tmp_path):
    (tmp_path / "forgetful.py").write_text("from billing.settings.base import *\nSECRET_KEY = 'x' * 60\n")
    own = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "DJANGO_SETTINGS_MODULE": "forgetful"}
    done = run(("manage.py", "check"), TRUSTED_PROXIES="x", **own)
    assert done.returncode == 1
    assert named(done.stderr) == ["TRUSTED_PROXIES"]


def test_every_secret_can_be_in_a_file(tmp_path):
    secrets = ("SECRET_KEY", "DATABASE_URL", "AUDIT_DATABASE_URL", "EMAIL_URL", "SENTRY_DSN")
    for name in secrets:
        (tmp_path / name).write_text(GOOD[name])
    done = run(CHECK, without=secrets, **{f"{name}_FILE": str(tmp_path / name) for name in secrets})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["AUDIT_DATABASE_PASSWORD", "DATABASE_PASSWORD", "EMAIL_PASSWORD"])
def test_of_two_passwords_neither_is_taken(name):
    done = run(CHECK, **{name: "hunter2"})
    assert done.returncode == 1
    assert named(done.stderr) == [name]
    assert "hunter2" not in done.stderr


def test_no_option_of_an_address_turns_tls_off():
    script = "from billing.settings.production import DATABASES; print([d['OPTIONS']['ssl_mode'] for d in DATABASES.values()])"
    addresses = {name: f"{GOOD[name]}?ssl_mode=DISABLED" for name in ("DATABASE_URL", "AUDIT_DATABASE_URL")}
    assert run(("-c", script), **addresses).stdout == "['VERIFY_IDENTITY', 'VERIFY_IDENTITY']\n"


def test_production_starts_and_answers(tmp_path):
    port = str(free_port())
    variables = GOOD | {"DATABASE_URL": f"sqlite:///{tmp_path}/a", "AUDIT_DATABASE_URL": f"sqlite:///{tmp_path}/b"}
    around = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path), "PORT": port}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *GUNICORN], env=around | variables, stdout=log, stderr=log)
    try:
        assert asked(port, "/healthz") == 200
    finally:
        process.terminate()
        process.wait()
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(json.loads(line)["time"] for line in lines)


def asked(port, path):
    """The status of an answer, once there is one."""
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Host": "billing.example.com"}).status_code
        time.sleep(0.1)
    pytest.fail("The server did not come up.")
