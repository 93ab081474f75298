"""The policies of the keys and those of the roles are two locks on one door: each has to let the same people in."""

import pytest

from tests.deploy.policies import ACCOUNT, resolved, template
from tests.deploy.test_roles import CARD_CONTEXT, FINGERPRINT_CONTEXT, JOBS, KEY, KMS, ROLES, key_of
from vault.embedded.iam import Request, is_allowed

# What is done with a key; whatever else there is, is done to it.
USES = {
    f"kms:{name}"
    for name in (
        *("GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo"),
        *("GenerateMac", "VerifyMac", "CreateGrant"),
    )
}


def key_policies():
    """The policy of each key by its job. Principals are the account, and a condition says which roles of it."""
    found = {}
    for each in template("data.yaml")["Resources"].values():
        if each["Type"] != "AWS::KMS::Key":
            continue
        tags = {tag["Key"]: tag["Value"] for tag in each["Properties"].get("Tags", [])}
        if "vault-table" in tags:
            policy = resolved(each["Properties"]["KeyPolicy"])
            principals = [statement.pop("Principal") for statement in policy["Statement"]]
            assert all(each == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"} for each in principals)
            found[tags["vault-key"]] = policy
    return found


def asked(role):
    """Every action on every key by this role, and what it is called."""
    principal = {"aws:principalarn": [f"arn:aws:iam::{ACCOUNT}:role/billing-{role}"]}
    for action in KMS:
        for job in JOBS:
            context = {"card": CARD_CONTEXT, "fingerprint": FINGERPRINT_CONTEXT}.get(job, {})
            yield f"{action} {job}", job, Request(action, KEY, key_of(job) | context | principal)


@pytest.mark.parametrize("role", ROLES)
def test_both_locks_agree_about_every_use_of_every_key(role):
    keys = key_policies()
    assert set(keys) == set(JOBS)
    by_role = {name for name, _, request in asked(role) if is_allowed(ROLES[role], request)}
    by_key = {name for name, job, request in asked(role) if is_allowed([keys[job]], request)}
    assert by_role - by_key == set()
    assert {name for name in by_key - by_role if name.split()[0] in USES} == set()


@pytest.mark.parametrize("job", JOBS)
def test_nobody_else_of_the_account_uses_a_key(job):
    policy = key_policies()[job]
    for principal in ("role/admin", "role/billing-web-2", "user/root", "role/other-web"):
        context = {"aws:principalarn": [f"arn:aws:iam::{ACCOUNT}:{principal}"]} | CARD_CONTEXT | FINGERPRINT_CONTEXT
        allowed = {action for action in USES if is_allowed([policy], Request(action, KEY, key_of(job) | context))}
        assert allowed == set()
