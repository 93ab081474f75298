"""What production settings do by themselves, in a process of its own (PCI DSS 4.2.1)."""

import json
import os
import subprocess
import sys

import certifi
import pytest
from django.conf import settings

SCRIPT = """
import django, json
django.setup()
from django.conf import settings
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
client = Client(headers={"host": "shop.example"})
answers = {}
for name, secure, method in (("page", True, "get"), ("plain page", False, "get"), ("plain body", False, "post")):
    answer = getattr(client, method)("/orders/", secure=secure)
    answers[name] = [answer.status_code, dict(answer.headers)]
databases = {alias: [each["OPTIONS"].get("ssl"), each["OPTIONS"].get("ssl_mode")] for alias, each in settings.DATABASES.items()}
print(json.dumps([answers, databases, settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "DJANGO_SETTINGS_MODULE": "billing.settings.production",
        "PYTHONWARNINGS": "ignore",
        "SECRET_KEY": "x" * 60,
        "ALLOWED_HOSTS": "shop.example",
        "DATABASE_URL": "mysql://u:p@db.example/billing",
        "AUDIT_DATABASE_URL": "mysql://u:p@db.example/audit",
        "DATABASE_CA": certifi.where(),
        "EMAIL_URL": "smtp+tls://mail.example.com:587",
    }
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_browsers_are_told_to_use_tls_alone_for_two_years(told):
    _, headers = told[0]["page"]
    assert headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains; preload"


def test_a_page_over_plain_http_is_redirected_and_a_body_refused(told):
    assert told[0]["plain page"][0] == 301
    status, headers = told[0]["plain body"]
    assert (status, headers.get("Location")) == (403, None)


def test_the_databases_are_reached_over_tls_that_shows_who_answers(told):
    assert told[1] == {alias: [{"ca": certifi.where()}, "VERIFY_IDENTITY"] for alias in ("default", "audit")}


def test_cookies_go_over_tls_alone(told):
    assert told[2:] == ["__Host-session", True, True]
