"""Production as its operators meet it: `manage.py check --deploy`, commands and gunicorn, each a real process."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from billing import start
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
GOOD = {
    "SECRET_KEY": "n5Qm-3vXk_ZpTt8LrWcYb2DfHsJgEaUe7KyNxMwBvPqRz1o0123",
    "ALLOWED_HOSTS": "billing.example.com",
    "DATABASE_URL": "mysql://billing:x@db.example.com:3306/billing",
    "AUDIT_DATABASE_URL": "mysql://billing_audit:x@db.example.com:3306/billing_audit",
    "DATABASE_CA": "/etc/ssl/certs/ca-certificates.crt",
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
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "billing.settings.production",
        "PORT": str(free_port()),
        "WEB_CONCURRENCY": "1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
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


@pytest.mark.parametrize(
    ("without", "change", "said"),
    [
        ("SECRET_KEY", {}, "Set the SECRET_KEY environment variable"),
        ("DATABASE_URL", {}, "Set the DATABASE_URL environment variable"),
        ("AUDIT_DATABASE_URL", {}, "Set the AUDIT_DATABASE_URL environment variable"),
        ("DATABASE_CA", {}, "Set the DATABASE_CA environment variable"),
        ("EMAIL_URL", {}, "Set the EMAIL_URL environment variable"),
        ("", {"SENTRY_DSN": "http://key@sentry.example.com/1"}, "SENTRY_DSN must begin with https://"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_settings_of_production_are_not_read_without(without, change, said):
    done = run(("-c", "import billing.settings.production"), without=(without,), **change)
    assert done.returncode == 1
    assert said in done.stderr


def test_no_option_of_an_address_turns_tls_off():
    script = "from billing.settings.production import DATABASES; print([d['OPTIONS']['ssl_mode'] for d in DATABASES.values()])"
    addresses = {name: f"{GOOD[name]}?ssl_mode=DISABLED" for name in ("DATABASE_URL", "AUDIT_DATABASE_URL")}
    assert run(("-c", script), **addresses).stdout == "['VERIFY_IDENTITY', 'VERIFY_IDENTITY']\n"


def test_production_starts_and_answers(tmp_path):
    port = str(free_port())
    variables = GOOD | {"DATABASE_URL": f"sqlite:///{tmp_path}/a", "AUDIT_DATABASE_URL": f"sqlite:///{tmp_path}/b"}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path), "PORT": port}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *GUNICORN], env=environment | variables, stdout=log, stderr=log)
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
