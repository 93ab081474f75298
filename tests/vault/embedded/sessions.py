"""Sessions and requests that the tests of the embedded engine share."""

from pathlib import Path

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from vault.embedded import Roles, install

REGION = "eu-central-1"
TABLE = "cards"
ABSENT = {"ConditionExpression": "attribute_not_exists(#t)", "ExpressionAttributeNames": {"#t": "token"}}
PRESENT = {"ConditionExpression": "attribute_exists(#t)", "ExpressionAttributeNames": {"#t": "token"}}


def plain_session() -> botocore.session.Session:
    session = botocore.session.Session()
    session.set_credentials("access", "secret")
    session.set_config_variable("region", REGION)
    session.set_default_client_config(Config(retries={"total_max_attempts": 1}))
    return session


def embedded_session(directory: Path, *, roles: Roles | None = None) -> boto3.session.Session:
    session = plain_session()
    install(session, directory, roles=roles)
    return boto3.session.Session(botocore_session=session)


def create_table(dynamodb, **parameters):
    return dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "token", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "token", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **parameters,
    )["TableDescription"]


def key(name):
    return {"token": {"S": name}}


def item(name, version="1"):
    return key(name) | {"version": {"N": version}, "sealed": {"B": b"\x00\xff" + name.encode()}}


def put(name, **parameters):
    return {"Put": {"TableName": TABLE, "Item": item(name), **parameters}}


def scan(dynamodb, **parameters):
    """The tokens of all pages."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=TABLE, **parameters)
    return [found["token"]["S"] for page in pages for found in page["Items"]]


def code_of(call, **parameters):
    """The AWS error code with which `call` is refused."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "accepted"
