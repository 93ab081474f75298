"""A new key is like the one before it, also in what can never be changed."""

import boto3
import pytest
from moto import mock_aws

from vault.kmskeys import KMSKeys

CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


@pytest.mark.parametrize("is_of_many_regions", [True, False])
def test_the_key_after_one_of_many_regions_is_of_many_regions(is_of_many_regions):
    with mock_aws():
        kms = boto3.client("kms", region_name="eu-central-1", **CREDENTIALS)
        old = kms.create_key(MultiRegion=is_of_many_regions, KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
        new = KMSKeys(kms).create_like(old)
        assert new != old
        assert kms.describe_key(KeyId=new)["KeyMetadata"]["MultiRegion"] is is_of_many_regions
