"""A real server with collected files, whose names hold digests, as in production."""

import json

import pytest

from billing.cardscripts.inventory import CHANGED
from tests.processes import installation
from tests.servers import serving

pytestmark = [pytest.mark.django_db, pytest.mark.killed]
__all__ = ["installation"]

SIGNED_IN = """
import sys
from django.conf import settings
from django.test import Client
from tests.factories import make_user
client = Client()
client.force_login(make_user("carla"), backend=settings.AUTHENTICATION_BACKENDS[0])
print(client.cookies[settings.SESSION_COOKIE_NAME].value)
"""


def test_a_file_that_was_changed_behind_a_server_is_found(installation):
    installation.manage("collectstatic", "--no-input", "--verbosity=0")
    session = installation.run(SIGNED_IN)
    cookies = installation.folder / "cookies.txt"
    cookies.write_text(f"# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsessionid\t{session}\n")
    check = ("card_scripts", f"--cookies={cookies}", "--format=json")
    with serving(installation, 1) as (server,):
        url = f"http://127.0.0.1:{server.port}/orders/new/"
        assert json.loads(installation.manage(*check, url)) == []
    (collected,) = (installation.folder / "static" / "vault").glob("once.????????????.js")
    collected.write_text("fetch('/elsewhere')")
    with serving(installation, 1) as (server,):
        url = f"http://127.0.0.1:{server.port}/orders/new/"
        found = json.loads(installation.manage(*check, url, code=1))
    assert {"where": "orders:new", "what": "vault/once.js", "problem": CHANGED} in found
