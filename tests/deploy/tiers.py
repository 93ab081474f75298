"""An installation as it is deployed: tiers and tasks with the roles of roles.yaml, and an AWS that holds them to it."""

import json
import re
from contextlib import closing, contextmanager
from dataclasses import dataclass

import boto3
import httpx
from botocore.config import Config

from tests.deploy.policies import REGION, role_policies
from tests.processes import Installation, installed
from tests.servers import Server, serving
from tests.vault.embedded.standins import StandIn, standing_in

PASSWORD = "correct horse battery"
SURFACES = {"web": "web", "data-access": "api,admin", "nobody": "web"}

TASKS = """
import json, sys
from django.core.management import call_command
for line in json.loads(sys.argv[1]):
    call_command(*line)
print("done")
"""


@dataclass
class Tiers:
    """The installation that made everything, and may do everything, and the AWS of the roles."""

    made: Installation
    aws: StandIn

    def role(self, name):
        """The same installation, as it is to a process in this role."""
        return Installation(
            self.made.folder,
            **self.made.environment
            | {
                "DJANGO_SETTINGS_MODULE": "tests.deploy.settings",
                "VAULT_ENDPOINT_URL": self.aws.url,
                "AWS_ACCESS_KEY_ID": name,
                "AWS_SECRET_ACCESS_KEY": "x",
                "SURFACES": SURFACES.get(name, "web,api,admin"),
                # A rotation waits until every process has read the list of keys.
                "VAULT_KEYS_MAX_AGE": "1",
            },
        )

    @contextmanager
    def serving(self, name):
        """A tier: one server in this role, which serves what it has to."""
        with serving(self.role(name), 1) as (server,):
            yield server

    def begin(self, name, *commands):
        """A task: these commands in this role, beside the test."""
        return self.role(name).script(TASKS, json.dumps(commands), **_CAPTURED)

    @contextmanager
    def client(self, service, name):
        """A client of AWS in this role, with none of our code around it."""
        client = boto3.client(
            service, endpoint_url=self.aws.url, region_name=REGION, aws_access_key_id=name,
            aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        with closing(client):
            yield client


_CAPTURED = {"stdout": -1, "stderr": -1, "text": True}


@contextmanager
def split(folder):
    """An installation whose vault is provisioned, and the stand-in with the roles, and one role without a right."""
    with (
        installed(folder) as made,
        standing_in(folder / "vault", roles=role_policies() | {"nobody": []}) as aws,
    ):
        made.manage("createcachetable")
        yield Tiers(made, aws)


class Customer:
    """Somebody with a browser that runs no scripts."""

    def __init__(self, server: Server, http: httpx.Client) -> None:
        self._base, self._http = f"http://127.0.0.1:{server.port}", http

    def get(self, path):
        return self._http.get(self._base + path)

    def submit(self, path, **fields):
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', self.get(path).text))
        return self._http.post(self._base + path, data=hidden | fields, headers={"Referer": self._base + path})

    def order(self, name, digits):
        fields = {"name": name, "amount": "12.50", "currency": "EUR", "payment": "new", "number": digits}
        return self.submit("/orders/new/", **fields, expires="12/99", save_card="on")


@contextmanager
def signed_in(server, name):
    """Somebody who signed in by the form of this server."""
    with httpx.Client(timeout=60, trust_env=False, follow_redirects=True) as http:
        somebody = Customer(server, http)
        somebody.submit("/accounts/login/", login=f"{name}@example.com", password=PASSWORD)
        yield somebody
