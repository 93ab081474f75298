"""CloudTrail in a test: listens on the wire to KMS and writes a record for each Decrypt, as AWS does."""

import gzip
import json
import uuid
from datetime import UTC, datetime

import pytest

from vault.backend import Vault

ACCOUNT = "000000000000"
APPLICATION = f"arn:aws:sts::{ACCOUNT}:assumed-role/billing/i-0abc"


class Trail:
    """Hooks on the session of a vault. Make it before the vault's clients are made, and after a `Wire`.

    `principal` is whoever calls from now on. What KMS answered stands in `records`, whether the answer arrived or not.
    """

    def __init__(self, vault: Vault) -> None:
        self.records: list[dict] = []
        self.principal = APPLICATION
        self._asked: dict = {}
        events = vault.session.botocore.get_component("event_emitter")
        events.register_first("before-send.kms.Decrypt", self._before_send)
        events.register_first("response-received.kms.Decrypt", self._received)
        events.register("answer-lost.kms.Decrypt", self._lost)

    def _before_send(self, request, **_):
        self._asked = json.loads(request.body)

    def _received(self, parsed_response, **_):
        if parsed_response is None:
            return
        error = parsed_response.get("Error")
        context = self._asked.get("EncryptionContext")
        key = parsed_response.get("KeyId", "")
        self.records.append(decrypt_record(context, key=key, principal=self.principal, error=error and error["Code"]))

    def _lost(self, answer, **_):
        self._received(json.loads(answer.content))

    def write(self, folder, *, records=None, zipped=False):
        """A log file as it is delivered to S3."""
        body = json.dumps({"Records": self.records if records is None else records}).encode()
        path = folder / f"{ACCOUNT}_CloudTrail_eu-central-1_{uuid.uuid4().hex[:16]}.json{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(body) if zipped else body)
        return path


def decrypt_record(context, *, key="", principal=APPLICATION, error=None, time=None, **more):
    """A record of one Decrypt (AWS KMS Developer Guide, "Decrypt" under "Logging AWS KMS API calls")."""
    moment = time or datetime.now(UTC)
    asked = {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    if context:
        asked["encryptionContext"] = context
    # Where access is denied, neither what was asked for nor the key is recorded.
    denied = error == "AccessDenied"
    failure = {"errorCode": error, "errorMessage": f"not authorized: kms:Decrypt on resource: {key}"} if error else {}
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": principal, "accountId": ACCOUNT},
        "eventTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "Boto3/1.44",
        **failure,
        "requestParameters": None if denied else asked,
        "responseElements": None,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": True,
        **({} if denied or not key else {"resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}]}),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        **more,
    }


@pytest.fixture
def trail(vault, wire) -> Trail:
    """CloudTrail of this test's vault, before the first request."""
    return Trail(vault)
