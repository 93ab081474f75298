"""Policies and requests, and what IAM says of them."""

import pytest

from vault.embedded.iam import Request, is_allowed

KEY = "arn:aws:kms:eu-central-1:000000000000:key/1"
TABLE = "arn:aws:dynamodb:eu-central-1:000000000000:table/cards"
CONTEXT = {
    "aws:resourcetag/vault-key": ["card"],
    "kms:encryptioncontext:*aws-kms-table*": ["cards"],
    "dynamodb:leadingkeys": ["tok1_a", "fp1_b"],
}
DECRYPT = Request("kms:Decrypt", KEY, CONTEXT)


def allow(**more):
    return {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY} | more


def deny(**more):
    return allow(Effect="Deny", **more)


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


POLICIES = [
    ("nothing said", [], False),
    ("no statement", [policy()], False),
    ("allowed", [policy(allow())], True),
    ("a statement that is no list", [{"Statement": allow()}], True),
    ("allowed by one of two policies", [policy(allow(Action="kms:Encrypt")), policy(allow())], True),
    ("denied beats allowed", [policy(allow(), deny())], False),
    ("denied in another policy", [policy(allow()), policy(deny(Action="kms:*", Resource="*"))], False),
    ("another action is denied", [policy(allow(), deny(Action="kms:Encrypt"))], True),
    ("another resource is denied", [policy(allow(), deny(Resource=TABLE))], True),
    ("an effect that is none", [policy(allow(), allow(Effect="Permit"))], False),
    ("no effect", [policy(allow(), {"Action": "*", "Resource": "*"})], False),
]  # fmt: skip


@pytest.mark.parametrize(("policies", "is_so"), [row[1:] for row in POLICIES], ids=[row[0] for row in POLICIES])
def test_one_statement_allows_and_none_denies(policies, is_so):
    assert is_allowed(policies, DECRYPT) is is_so


NAMES = [
    ({"Action": "kms:*"}, True),
    ({"Action": "KMS:decrypt"}, True),
    ({"Action": "kms:Dec?ypt"}, True),
    ({"Action": ["kms:Encrypt", "kms:Decrypt"]}, True),
    ({"Action": "kms:Decrypt2"}, False),
    ({"Action": "kms:Decryp"}, False),
    ({"Action": "kms.Decrypt"}, False),
    ({"Resource": "*"}, True),
    ({"Resource": "arn:aws:kms:*:000000000000:key/*"}, True),
    ({"Resource": [TABLE, KEY]}, True),
    ({"Resource": KEY.upper()}, False),
    ({"Resource": "arn:aws:kms:eu-central-1:000000000000:alias/*"}, False),
    ({"Resource": "arn:aws:kms:eu-central-1:111111111111:key/*"}, False),
    ({"Resource": []}, False),
]


@pytest.mark.parametrize(("element", "is_so"), NAMES, ids=[str(row[0]) for row in NAMES])
def test_actions_and_resources_have_wildcards(element, is_so):
    assert is_allowed([policy(allow(**element))], DECRYPT) is is_so


EXCLUDED = [("NotAction", "kms:Encrypt", True), ("NotAction", "kms:D*", False), ("NotResource", TABLE, True), ("NotResource", "*", False)]  # fmt: skip


@pytest.mark.parametrize(("element", "value", "is_so"), EXCLUDED)
def test_everything_but_what_is_named(element, value, is_so):
    statement = allow(**{element: value})
    del statement[element.removeprefix("Not")]
    assert is_allowed([policy(statement)], DECRYPT) is is_so


CARD, TAG, TAGKEYS = "aws:ResourceTag/vault-key", "kms:EncryptionContext:*aws-kms-table*", "aws:TagKeys"
KEYS = "dynamodb:LeadingKeys"
CONDITIONS = [
    ({}, True),
    ({"StringEquals": {CARD: "card"}}, True),
    ({"StringEquals": {CARD: "Card"}}, False),
    ({"StringEquals": {CARD: ["audit", "card"]}}, True),
    ({"StringEquals": {CARD: "audit"}}, False),
    ({"StringEquals": {CARD: "ca*"}}, False),
    ({"StringEquals": {CARD: "card", TAG: "cards"}}, True),
    ({"StringEquals": {CARD: "card", TAG: "others"}}, False),
    ({"StringEquals": {CARD: "card"}, "StringLike": {TAG: "others*"}}, False),
    ({"StringEquals": {CARD.upper(): "card"}}, True),
    ({"StringEquals": {"aws:ResourceTag/absent": "card"}}, False),
    ({"StringLike": {TAG: "car*"}}, True),
    ({"StringLike": {TAG: "car?"}}, False),
    ({"StringLike": {TAG: "car??"}}, True),
    ({"StringNotEquals": {CARD: "audit"}}, True),
    ({"StringNotEquals": {CARD: ["audit", "card"]}}, False),
    ({"StringNotEquals": {"aws:ResourceTag/absent": "card"}}, True),
    ({"StringNotLike": {CARD: "a*"}}, True),
    ({"StringNotLike": {CARD: "c*"}}, False),
    ({"Null": {CARD: "false"}}, True),
    ({"Null": {CARD: "true"}}, False),
    ({"Null": {"aws:ResourceTag/absent": "true"}}, True),
    ({"ForAllValues:StringLike": {KEYS: ["tok1_*", "fp*"]}}, True),
    ({"ForAllValues:StringLike": {KEYS: "tok1_*"}}, False),
    ({"ForAnyValue:StringLike": {KEYS: "tok1_*"}}, True),
    ({"ForAnyValue:StringEquals": {KEYS: "audit-seal#1"}}, False),
    ({"ForAnyValue:StringEquals": {TAGKEYS: "vault-key"}}, False),
    ({"ForAnyValue:StringNotEquals": {TAGKEYS: "vault-key"}}, False),
    ({"ForAllValues:StringEquals": {TAGKEYS: "vault-key"}}, True),
]


@pytest.mark.parametrize(("condition", "is_so"), CONDITIONS, ids=[str(row[0]) for row in CONDITIONS])
def test_conditions(condition, is_so):
    assert is_allowed([policy(allow(Condition=condition))], DECRYPT) is is_so
    # What denies holds under the same condition.
    assert is_allowed([policy(allow(), deny(Condition=condition))], DECRYPT) is not is_so


UNKNOWN = [
    {"Condition": {"NumericLessThan": {CARD: "1"}}},
    {"Condition": {"StringEqualsIfExists": {CARD: "card"}}},
    {"Condition": {"stringequals": {CARD: "card"}}},
    {"Condition": {"ForSomeValues:StringEquals": {CARD: "card"}}},
    {"Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}},
    {"Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}},
    {"Condition": {"Null": {"aws:SourceVpce": "true"}}},
    {"Condition": {"Null": {CARD: "perhaps"}}},
    {"Condition": {"StringEquals": {CARD: "${aws:username}"}}},
    {"Condition": {"StringLike": {CARD: "${aws:username}*"}}},
    # Several values, and nothing says whether one is enough.
    {"Condition": {"StringLike": {KEYS: "*"}}},
    {"Resource": "arn:aws:kms:*:*:key/${aws:username}"},
    {"Principal": "*"},
    {"NotAction": "kms:Encrypt"},
]


@pytest.mark.parametrize("unknown", UNKNOWN, ids=str)
def test_what_is_not_known_fails_closed(unknown):
    assert not is_allowed([policy(allow(**unknown))], DECRYPT)
    assert not is_allowed([policy(allow(), deny(**unknown))], DECRYPT)


@pytest.mark.parametrize("unknown", UNKNOWN, ids=str)
def test_what_is_not_known_denies_nothing_that_it_is_not_about(unknown):
    about = {"Resource": TABLE} if "Resource" not in unknown else {"Action": "kms:Encrypt"}
    assert is_allowed([policy(allow(), deny(**(unknown | about)))], DECRYPT)


def test_a_line_break_is_no_way_round_a_wildcard():
    request = Request("kms:Decrypt", KEY, {"aws:resourcetag/vault-key": ["card\nx"]})
    assert not is_allowed([policy(allow(Condition={"StringLike": {CARD: "card"}}))], request)
    assert not is_allowed([policy(allow(), deny(Condition={"StringLike": {CARD: "card*"}}))], request)
