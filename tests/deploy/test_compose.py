"""compose.yaml: what it says of each service, and that the product does it. No Docker is needed for that."""

import json
import os
import re
import shlex
import subprocess
import sys
from types import SimpleNamespace

import httpx
import pytest

from billing.checks import _is_strong
from tests.deploy.composed import ROLES, ROOT, SERVICES, roles, said, up
from tests.deploy.tiers import Customer
from tests.faults.sql import needs_mysql

OURS = {name: each for name, each in SERVICES.items() if name != "db"}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_every_container_may_do_as_little_as_it_can(service):
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & service.keys()


def test_nobody_beyond_this_machine_reaches_a_port():
    ports = {name: each.get("ports", []) for name, each in SERVICES.items()}
    assert ports == {name: [] for name in ("db", "aws", "setup")} | {
        "web": ["127.0.0.1:8000:8000"],
        "data-access": ["127.0.0.1:8001:8000"],
    }


def test_the_key_that_everybody_can_read_is_none_for_production():
    assert not _is_strong(SERVICES["web"]["environment"]["SECRET_KEY"])


def test_the_roles_are_those_of_the_templates():
    # `python -m tests.deploy.composed` writes them.
    assert json.loads(ROLES.read_text()) == roles()
    assert {each["environment"].get("AWS_ACCESS_KEY_ID") for each in OURS.values()} - {None} <= roles().keys()


@pytest.mark.parametrize(
    "address",
    ["", "https://aws:8100", "http://dynamodb.eu-central-1.amazonaws.com", "http://kms.eu-central-1.api.aws"],
)
def test_its_settings_work_with_no_aws(address, tmp_path):
    variables = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "VAULT_ENDPOINT_URL": address}
    script = "import billing.settings.compose"
    done = subprocess.run(
        [sys.executable, "-c", script], env=variables, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "VAULT_ENDPOINT_URL: must be http and name the stand-in" in done.stderr


@needs_mysql
@pytest.mark.killed
@pytest.mark.django_db
def test_its_services_start_in_their_order_and_the_tiers_share_what_they_should(tmp_path, card):
    subprocess.run(
        collect_static(), env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)} | LAPTOP, check=True, cwd=ROOT
    )
    with up(tmp_path) as (composed, servers, told), httpx.Client(timeout=60, follow_redirects=True) as http:
        _, password = said(told, "Customer")
        web, data_access = (f"http://127.0.0.1:{composed.ports[name]}" for name in ("web", "data-access"))
        customer = Customer(SimpleNamespace(port=composed.ports["web"]), http)
        customer.submit("/accounts/login/", login="customer@example.com", password=password)
        placed = customer.order("Milk jug", card("visa"))
        assert (placed.status_code, "Milk jug" in placed.text) == (200, True)
        token = composed.run("data-access", command_of(told)).stdout.strip()
        orders = httpx.get(f"{data_access}/api/v1/orders/", headers={"Authorization": f"Token {token}"})
        assert orders.status_code == 200
        assert httpx.get(f"{web}/api/v1/orders/").status_code == 404
        assert httpx.get(f"{data_access}/orders/new/").status_code == 404
    assert [process.returncode for process in servers.values()] == [0, 0]


LAPTOP = {"DJANGO_SETTINGS_MODULE": "billing.settings.local", "SECRET_KEY": "not-used"}


def collect_static():
    return [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]


def command_of(told):
    """The command in the container of `data-access` that the demo names for a token."""
    named = re.search(r"TOKEN=\$\(docker compose exec -T data-access (.*)\)", told)
    return shlex.split(named[1])
