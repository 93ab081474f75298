"""The version before and this one at once, as while services are replaced one after the other: real processes of both."""

import subprocess
from contextlib import ExitStack

import pytest
from django.conf import settings

from tests.cards import NUMBERS
from tests.processes import Installation, installation
from tests.servers import make_account, serving
from tests.upgrades import BASELINE, ROOT
from vault.records import SCHEMA_VERSION, SCHEMA_VERSIONS_READ

__all__ = ["installation"]

RIGHTS = (
    *("orders.add_order", "orders.view_order", "vault.tokenize_pan", "vault.view_card"),
    *("vault.detokenize_pan", "vault.detokenize_unattended"),
)


def test_no_item_is_written_that_the_version_before_does_not_open():
    assert SCHEMA_VERSION in BASELINE["schema_versions"], "Release a version that reads it first: docs/upgrades.md."
    assert {*BASELINE["schema_versions"], SCHEMA_VERSION} <= SCHEMA_VERSIONS_READ


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The code of the version before."""
    archive = ["git", "archive", BASELINE["commit"]]
    done = subprocess.run(archive, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("The version before is not there: this is an archive, or a shallow clone.")
    folder = tmp_path_factory.mktemp("before")
    subprocess.run(["tar", "-x", "-C", folder], input=done.stdout, check=True)
    return folder


@pytest.fixture
def both(installation, before):
    """Two installations over one database and one vault: the tables are this version's, the code is of each."""

    class Before(Installation):
        root = before

    older = Before(installation.folder, **installation.environment | {"PYTHONPATH": str(before)})
    return {"before": older, "this": installation}


@pytest.mark.django_db(transaction=True)
@pytest.mark.killed
@pytest.mark.skipif(settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"), reason="A service has MySQL")
def test_both_versions_serve_at_once_and_each_reads_what_the_other_wrote(both):
    assert both["before"].run("import vault; print(vault.__file__)") == f"{both['before'].root}/vault/__init__.py"
    token = make_account(both["before"], "shop", *RIGHTS)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(each, 1))[0] for name, each in both.items()}
        pairs = (("before", "this", NUMBERS["visa"][0]), ("this", "before", NUMBERS["amex"][0]))
        for writer, reader, digits in pairs:
            order = {"name": "Beans", "amount": "12.50", "currency": "EUR", "pan": digits}
            key = {"Idempotency-Key": f"from-{writer}"}
            placed = servers[writer].post("/api/v1/orders/", order, token=token, **key)
            assert placed.status_code == 201
            # Sent again, as after a broken connection, and the other version answers.
            again = servers[reader].post("/api/v1/orders/", order, token=token, **key)
            assert (again.status_code, again.json()) == (201, placed.json())
            seen = servers[reader].get(f"/api/v1/orders/{placed.json()['id']}/", token=token)
            assert (seen.status_code, seen.json()) == (200, placed.json())
            # The same card is the same token, whichever version recognizes it.
            known = servers[reader].post("/api/v1/tokens/", {"pan": digits}, token=token)
            card = placed.json()["card"]["token"]
            assert (known.status_code, known.json()["token"]) == (200, card)
            read = servers[reader].post(
                f"/api/v1/tokens/{card}/detokenize/", {"purpose": "refund", "reason": "twice"}, token=token
            )
            assert read.status_code == 200, read.json().get("code")
            assert read.json()["pan"] == digits
    for each in both.values():
        each.manage("vault_fsck")
        each.manage("vault_audit", "seal")
        each.manage("vault_audit", "verify")
        # A rollback finds the tables of the later version, and nothing to do.
        each.manage("migrate", "--check")
