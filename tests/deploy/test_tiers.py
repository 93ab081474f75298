"""The two tiers as two processes with two roles, and every task in its own: what they can do, and what AWS refuses."""

import json

import pytest

from tests.deploy.tiers import PASSWORD, signed_in, split
from tests.leaks import Sink
from tests.servers import rows_of
from tests.vault.embedded.sessions import code_of

pytestmark = [pytest.mark.django_db, pytest.mark.killed]

TABLE = "billing-vault"
CARD_KEY = "alias/billing-vault-card"
CONTEXT = {"*aws-kms-table*": TABLE, "token": "made up"}
REFUSED = "AccessDeniedException"
PURPOSE = {"purpose": "refund", "reason": "charged twice"}

PEOPLE = """
import sys
from knox.models import AuthToken
from tests.factories import make_user
make_user("ada", password=sys.argv[1])
make_user("staff", "vault.view_card", is_staff=True, password=sys.argv[1])
print(AuthToken.objects.create(make_user("acquirer", "vault.detokenize_pan", "vault.search_pan"))[1])
"""
# What somebody does who has taken a process over: whatever its credentials and its code allow.
OPEN = """
import json, sys
from django.contrib.auth.models import User
from vault import services
from vault.backend import current_vault
from vault.exceptions import VaultError
from vault.tokens import Token
said = []
for attempt in (
    lambda: services.detokenize(sys.argv[1], actor=User.objects.get(username="acquirer"), purpose="refund: x"),
    lambda: current_vault().store.open([Token.parse(sys.argv[1])]),
):
    try:
        attempt()
    except VaultError as error:
        said.append([type(error).__name__, error.aws_answer])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def tiers(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), split(tmp_path_factory.mktemp("tiers")) as made:
        made.api_token = made.made.run(PEOPLE, PASSWORD)
        with made.serving("web") as made.web:
            yield made


@pytest.fixture
def scanned(tiers, leaks):
    """What the processes wrote, into logs and tables, is searched as well."""
    yield
    for log in [*tiers.made.folder.glob("*.log"), tiers.aws.log]:
        leaks.record(Sink.FILE, log.read_bytes(), log.name)
    for table, rows in json.loads(tiers.made.run(TABLES)).items():
        leaks.record(Sink.TABLE, rows, table)
    leaks.check()


TABLES = """
import json
from django.db import connections
found = {}
for alias in ("default", "audit"):
    with connections[alias].cursor() as cursor:
        for name in connections[alias].introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {name}")
            found[f"{alias} {name}"] = [[str(cell) for cell in row] for row in cursor.fetchall()]
print(json.dumps(found))
"""


def sent(server, path, body, tiers):
    return server.post(f"/api/v1/tokens/{path}", body, token=tiers.api_token)


def test_a_customer_orders_on_one_tier_and_a_service_reads_the_card_on_the_other(tiers, canary, scanned):
    digits = canary("typed on the web tier")
    web = tiers.web
    with tiers.serving("data-access") as access, signed_in(web, "ada") as ada:
        assert digits[-4:] in ada.order("First", digits).text
        assert digits[-4:] in ada.order("Again", digits).text
        # Recognized, by a process that cannot open it.
        assert rows_of(tiers.made) == {"orders": 2, "cards": 1, "records": 1}
        token = sent(access, "search/", {"pan": digits}, tiers).json()["token"]
        opened = sent(access, f"{token}/detokenize/", PURPOSE, tiers)
        assert (opened.status_code, opened.json()["pan"] == digits) == (200, True)

        assert tiers.role("web").run(OPEN, token) == json.dumps([["VaultSealed", f"Decrypt: {REFUSED}"]] * 2)
        assert json.loads(tiers.role("data-access").run(OPEN, token)) == []

        # Each has the addresses of its surface, and no other's.
        for path in ("/api/v1/orders/", "/api/schema/", "/admin/", f"/api/v1/tokens/{token}/"):
            assert web.get(path).status_code == 404
        assert sent(web, f"{token}/detokenize/", PURPOSE, tiers).status_code == 404
        for path in ("/orders/", "/orders/new/", "/cards/"):
            assert access.get(path).status_code == 404
        with signed_in(access, "staff") as staff:
            assert digits[-4:] in staff.get("/admin/vault/card/").text

        # Without the other, this one goes on; and its customers can have their cards erased.
        access.stop()
        new = canary("typed while the other is dead")
        assert new[-4:] in ada.order("Alone", new).text
        assert ada.submit(f"/cards/{token}/remove/", everywhere="on").status_code == 200
    assert tiers.made.run(ERASED, token) == "erased True"


ERASED = """
import sys
from vault.models import Card, ErasureCertificate
print(Card.objects.get(token=sys.argv[1]).status, ErasureCertificate.objects.filter(card=sys.argv[1]).exists())
"""


def test_web_is_refused_by_kms_and_dynamodb_themselves(tiers):
    with tiers.client("kms", "data-access") as other, tiers.client("kms", "operator") as operator:
        key = operator.describe_key(KeyId=CARD_KEY)["KeyMetadata"]["KeyId"]
        sealing = {"KeyId": CARD_KEY, "KeySpec": "AES_256", "EncryptionContext": CONTEXT}
        with tiers.client("kms", "web") as kms:
            blob = kms.generate_data_key(**sealing)["CiphertextBlob"]
            # Not even what it sealed itself.
            for named in ({}, {"KeyId": CARD_KEY}, {"KeyId": key}):
                assert code_of(kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT, **named) == REFUSED
            for call in (kms.disable_key, kms.schedule_key_deletion, kms.get_key_policy, kms.describe_key):
                assert code_of(call, KeyId=key) == REFUSED
        assert len(other.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"]) == 32
    with tiers.client("dynamodb", "web") as dynamodb:
        assert code_of(dynamodb.scan, TableName=TABLE) == REFUSED
        seal = {"token": {"S": "audit-seal#00000001"}}
        for call, item in ((dynamodb.get_item, "Key"), (dynamodb.put_item, "Item"), (dynamodb.delete_item, "Key")):
            assert code_of(call, TableName=TABLE, **{item: seal}) == REFUSED


def test_lists_need_no_right_at_all(tiers, canary):
    """The web tier while AWS refuses it everything."""
    digits, new = canary("kept before"), canary("refused")
    with signed_in(tiers.web, "ada") as ada:
        ada.order("Kept", digits)
    before = rows_of(tiers.made)
    with tiers.serving("nobody") as web, signed_in(web, "ada") as ada:
        for path in ("/", "/orders/", "/cards/", "/healthz", "/readyz"):
            assert ada.get(path).status_code == 200
        assert digits[-4:] in ada.get("/orders/").text
        assert ada.order("Refused", new).status_code == 503
    assert rows_of(tiers.made) == before


# --- Tasks -----------------------------------------------------------------------------------------------------------

OPERATOR = [
    ["migrate", "--verbosity=0"],
    ["migrate", "--database=audit", "--verbosity=0"],
    ["vault_provision"],
    ["vault_check"],
    ["vault_keys"],
    ["vault_rotate", "card"],
    ["vault_reencrypt"],
    ["vault_rotate", "card", "--data-key"],
    ["vault_rotate", "fingerprint"],
    ["vault_fsck"],
]


def test_every_task_does_its_work_in_its_role(tiers, canary):
    before, after = canary("kept before the rotation"), canary("kept after the rotation")
    with signed_in(tiers.web, "ada") as ada:
        ada.order("Kept", before)
        others = {
            "seal": tiers.begin("seal", ["vault_audit", "seal"], ["vault_audit", "verify"]),
            "purge": tiers.begin("purge", ["vault_purge"], ["vault_fsck"], ["vault_scan", "--database"]),
            "events": tiers.begin("events", ["send_events"]),
        }
        assert {name: ended(task) for name, task in others.items()} == dict.fromkeys(others, "")
        assert ended(tiers.begin("operator", *OPERATOR)) == ""
        # Under a key that the operator made, and with no change of a policy.
        assert after[-4:] in ada.order("After", after).text
        with tiers.serving("data-access") as access:
            for digits in (before, after):
                token = sent(access, "search/", {"pan": digits}, tiers).json()["token"]
                assert sent(access, f"{token}/detokenize/", PURPOSE, tiers).json()["pan"] == digits
    retiring = tiers.begin("operator", ["vault_rotate", "card", "--retire=1", "--disable"], ["vault_audit", "verify"])
    assert ended(retiring) == ""


def ended(task):
    """What a task said on its way to a failure; nothing if it ended well."""
    out, errors = task.communicate(timeout=300)
    return "" if task.returncode == 0 and out.endswith("done\n") else errors[-2000:]


# One for each; the rest is in test_roles.py.
MAY_NOT = [
    ("web", ["vault_keys"]),
    ("operator", ["vault_audit", "seal"]),
    ("seal", ["vault_purge", "--verify"]),
    ("events", ["vault_check"]),
]


def test_no_task_does_the_work_of_another(tiers):
    begun = [(role, line, tiers.begin(role, line)) for role, line in MAY_NOT]
    refused = [(role, line, REFUSED in ended(task)) for role, line, task in begun]
    assert refused == [(role, line, True) for role, line in MAY_NOT]
