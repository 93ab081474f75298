"""An account of moto in which the stacks are made, in their order, as far as moto goes.

What its CloudFormation does not know, or does otherwise than AWS, but its services do, is made through these from the same
properties. What it knows nowhere is left out, for a reason that `LEFT_OUT` gives.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator

import boto3

from tests.deploy.templates import order, template

REGION = "eu-central-1"
ACCOUNT = "123456789012"
PARAMETERS = {
    "Name": "billing",
    "AlarmEmail": "security@example.com",
    "S3PrefixList": "pl-1",
    "DynamoDBPrefixList": "pl-2",
    "StaffNetwork": "10.99.0.0/16",
    "ImageTag": "0123456789abcdef0123456789abcdef01234567",
    "Domain": "billing.example.com",
    "EmailUrl": "smtp+tls://billing@mail.example.com:587",
    "EmailFrom": "Billing <billing@example.com>",
}
#: What moto's CloudFormation does not make, by type. A type that it learns, or that is not used any more, fails a test.
LEFT_OUT = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "the service takes it, CloudFormation not; nothing scales in moto",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "as its target",
    "AWS::CloudTrail::Trail": "nothing is written to a trail of moto",
    "AWS::CloudWatch::Alarm": "no metric of moto's services would raise one",
    "AWS::Logs::MetricFilter": "as the trail that it reads",
    "AWS::Scheduler::Schedule": "no schedule of moto starts anything",
    "AWS::WAFv2::WebACL": "moto filters no request",
    "AWS::WAFv2::WebACLAssociation": "as what it associates",
}
#: Properties that name what is made later; moto does nothing with them.
LATER = {"LoggingConfiguration", "MonitoringInterval", "MonitoringRoleArn"}
#: Attributes that moto's CloudFormation does not know, and what AWS says there.
UNKNOWN_ATTRIBUTES = {"CanonicalHostedZoneID": "Z215JYRZR1TBD5"}


def make_stacks() -> None:
    """Make every stack in the account that boto3 sees."""
    zone = boto3.client("route53").create_hosted_zone(Name="example.com", CallerReference="registrar")
    parameters = PARAMETERS | {"HostedZoneId": zone["HostedZone"]["Id"].rpartition("/")[2]}
    for stack in order():
        _Stack(stack, parameters).make()


def exports() -> dict[str, str]:
    """What the stacks give to each other, by name."""
    pages = boto3.client("cloudformation").get_paginator("list_exports").paginate()
    return {each["Name"]: each["Value"] for page in pages for each in page["Exports"]}


class _Stack:
    def __init__(self, name: str, parameters: dict[str, str]) -> None:
        self.name = name
        self.template = copy.deepcopy(template(name))
        declared = self.template["Parameters"]
        self.parameters = {key: str(parameters.get(key, declared[key].get("Default"))) for key in declared}
        self.exports = exports()
        # What a reference or an attribute stands for: ("Cards", "Ref") or ("Cards", "Arn").
        self.values: dict[tuple[str, str], str] = {}

    def make(self) -> None:
        for kind, make in BEFORE.items():
            for name, resource in self._taken(kind):
                properties = {key: value for key, value in resource["Properties"].items() if key not in LATER}
                for attribute, value in make(self.resolved(properties)).items():
                    self.values[name, attribute] = value
        # The third zone is the one condition on such resources, and it is off.
        later = [(kind, each) for kind in AFTER for _, each in self._taken(kind) if "Condition" not in each]
        for kind in LEFT_OUT:
            list(self._taken(kind))
        self._replace(self.template)
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(
            StackName=f"billing-{self.name}",
            TemplateBody=json.dumps(self.template),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in self.parameters.items()
                if value != "None"
            ],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        if not later:
            return
        for each in cloudformation.describe_stack_resources(StackName=f"billing-{self.name}")["StackResources"]:
            # Rules of security groups have no name in moto.
            self.values[each.get("LogicalResourceId", ""), "Ref"] = each.get("PhysicalResourceId", "")
        for kind, resource in later:
            AFTER[kind](self.resolved(resource["Properties"]))

    def _taken(self, kind: str) -> Iterator[tuple[str, dict]]:
        """The resources of a type, taken out of the template."""
        resources = self.template["Resources"]
        for name in [name for name, resource in resources.items() if resource["Type"] == kind]:
            yield name, resources.pop(name)

    def _replace(self, value: object) -> object:
        """Put what has been made into the references to it, in place."""
        if isinstance(value, dict):
            if isinstance(value.get("DependsOn"), str) and value["DependsOn"] not in self.template["Resources"]:
                del value["DependsOn"]
            for key, each in value.items():
                value[key] = self._replace(each)
            if len(value) == 1 and (known := self._known(value)) is not None:
                return known
        if isinstance(value, list):
            value[:] = [self._replace(each) for each in value]
        return value

    def _known(self, function: dict) -> str | None:
        (name, argument), *_ = function.items()
        if name == "Ref":
            return self.values.get((argument, "Ref"))
        if name == "Fn::GetAtt":
            resource, attribute = argument
            return UNKNOWN_ATTRIBUTES.get(attribute) or self.values.get((resource, attribute))
        return None

    def resolved(self, value: object) -> object:
        """The same with the functions that these resources use put out of the way."""
        if isinstance(value, list):
            return [self.resolved(each) for each in value]
        if not isinstance(value, dict):
            return value
        functions: dict[str, Callable] = {
            "Ref": self._ref,
            "Fn::GetAtt": lambda parts: self._ref(".".join(parts)),
            "Fn::Sub": lambda text: re.sub(r"\$\{([^}]+)\}", lambda found: self._ref(found[1]), text),
            "Fn::ImportValue": lambda export: self.exports[self.resolved(export)],
            "Fn::Split": lambda parts: self.resolved(parts[1]).split(parts[0]),
        }
        (name, argument), *others = value.items() or [("", None)]
        if name in functions and not others:
            return functions[name](argument)
        return {key: self.resolved(each) for key, each in value.items()}

    def _ref(self, name: str) -> str:
        pseudo = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws"}
        resource, _, attribute = name.partition(".")
        return pseudo.get(name) or self.parameters.get(name) or self.values[resource, attribute or "Ref"]


# --- Made through the services ---------------------------------------------------------------------------------------


def _make_key(wanted: dict) -> dict[str, str]:
    """CloudFormation of moto makes every key a symmetric one."""
    kms = boto3.client("kms")
    key = kms.create_key(
        Description=wanted["Description"],
        KeySpec=wanted.get("KeySpec", "SYMMETRIC_DEFAULT"),
        KeyUsage=wanted.get("KeyUsage", "ENCRYPT_DECRYPT"),
        Policy=json.dumps(wanted["KeyPolicy"]),
        Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in wanted.get("Tags", [])],
    )["KeyMetadata"]
    if wanted.get("EnableKeyRotation"):
        kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=wanted.get("RotationPeriodInDays", 365))
    return {"Ref": key["KeyId"], "Arn": key["Arn"]}


def _make_table(wanted: dict) -> dict[str, str]:
    """CloudFormation of moto ignores point-in-time recovery and what encrypts the table."""
    dynamodb = boto3.client("dynamodb")
    sse = dict(wanted["SSESpecification"])
    table = dynamodb.create_table(
        **{key: wanted[key] for key in ("TableName", "AttributeDefinitions", "KeySchema", "BillingMode")},
        DeletionProtectionEnabled=wanted["DeletionProtectionEnabled"],
        SSESpecification={"Enabled": sse.pop("SSEEnabled")} | sse,
    )["TableDescription"]
    dynamodb.update_continuous_backups(
        TableName=wanted["TableName"], PointInTimeRecoverySpecification=wanted["PointInTimeRecoverySpecification"]
    )
    return {"Ref": wanted["TableName"], "Arn": table["TableArn"]}


def _make_bucket(wanted: dict) -> dict[str, str]:
    """CloudFormation of moto ignores locks."""
    s3, name = boto3.client("s3"), wanted["BucketName"]
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=wanted.get("ObjectLockEnabled", False),
    )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=wanted["VersioningConfiguration"])
    if lock := wanted.get("ObjectLockConfiguration"):
        retention = lock["Rule"]["DefaultRetention"]
        retention["Days"] = int(retention["Days"])
        s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=wanted["PublicAccessBlockConfiguration"])
    return {"Ref": name, "Arn": f"arn:aws:s3:::{name}"}


def _make_secret(wanted: dict) -> dict[str, str]:
    """CloudFormation of moto has no secrets."""
    secrets, how = boto3.client("secretsmanager"), wanted["GenerateSecretString"]
    password = secrets.get_random_password(
        PasswordLength=how["PasswordLength"], ExcludePunctuation=how["ExcludePunctuation"]
    )
    value = password["RandomPassword"]
    if "GenerateStringKey" in how:
        value = json.dumps(json.loads(how["SecretStringTemplate"]) | {how["GenerateStringKey"]: value})
    made = secrets.create_secret(Name=wanted["Name"], KmsKeyId=wanted["KmsKeyId"], SecretString=value)
    return {"Ref": made["ARN"]}


def _make_certificate(wanted: dict) -> dict[str, str]:
    """CloudFormation of moto has no certificates."""
    made = boto3.client("acm").request_certificate(
        DomainName=wanted["DomainName"], ValidationMethod=wanted["ValidationMethod"]
    )
    return {"Ref": made["CertificateArn"]}


def _make_schedule_group(wanted: dict) -> dict[str, str]:
    """CloudFormation of moto has none."""
    made = boto3.client("scheduler").create_schedule_group(Name=wanted["Name"])
    return {"Ref": wanted["Name"], "Arn": made["ScheduleGroupArn"]}


def _make_subnet_group(wanted: dict) -> dict[str, str]:
    """CloudFormation of moto gives the groups to the database in a form that its RDS does not take."""
    boto3.client("rds").create_db_subnet_group(**wanted)
    return {"Ref": wanted["DBSubnetGroupName"]}


def _make_parameter_group(wanted: dict) -> dict[str, str]:
    """As the group of subnets."""
    rds = boto3.client("rds")
    rds.create_db_parameter_group(
        DBParameterGroupName="billing", DBParameterGroupFamily=wanted["Family"], Description=wanted["Description"]
    )
    rds.modify_db_parameter_group(
        DBParameterGroupName="billing",
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
            for name, value in wanted["Parameters"].items()
        ],
    )
    return {"Ref": "billing"}


def _make_database(wanted: dict) -> dict[str, str]:
    """CloudFormation of moto does not know that RDS makes the secret of its master."""
    vpc, secret = wanted.pop("VPCSecurityGroups"), wanted.pop("MasterUserSecret")
    for number in ("AllocatedStorage", "MaxAllocatedStorage", "BackupRetentionPeriod"):
        wanted[number] = int(wanted[number])
    wanted.pop("DeleteAutomatedBackups")
    made = boto3.client("rds").create_db_instance(
        **wanted, VpcSecurityGroupIds=vpc, MasterUserSecretKmsKeyId=secret["KmsKeyId"]
    )["DBInstance"]
    return {
        "Ref": made["DBInstanceIdentifier"],
        "Endpoint.Address": made["Endpoint"]["Address"],
        "MasterUserSecret.SecretArn": made["MasterUserSecret"]["SecretArn"],
    }


def _put_bucket_policy(wanted: dict) -> None:
    boto3.client("s3").put_bucket_policy(Bucket=wanted["Bucket"], Policy=json.dumps(wanted["PolicyDocument"]))


def _put_topic_policy(wanted: dict) -> None:
    for topic in wanted["Topics"]:
        boto3.client("sns").set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(wanted["PolicyDocument"])
        )


def _associate_routes(wanted: dict) -> None:
    """CloudFormation of moto makes an association that its EC2 does not show."""
    boto3.client("ec2").associate_route_table(RouteTableId=wanted["RouteTableId"], SubnetId=wanted["SubnetId"])


#: Others refer to them.
BEFORE: dict[str, Callable[[dict], dict[str, str]]] = {
    "AWS::KMS::Key": _make_key,
    "AWS::DynamoDB::Table": _make_table,
    "AWS::S3::Bucket": _make_bucket,
    "AWS::SecretsManager::Secret": _make_secret,
    "AWS::CertificateManager::Certificate": _make_certificate,
    "AWS::RDS::DBSubnetGroup": _make_subnet_group,
    "AWS::RDS::DBParameterGroup": _make_parameter_group,
    "AWS::RDS::DBInstance": _make_database,
    "AWS::Scheduler::ScheduleGroup": _make_schedule_group,
}
#: They refer to others.
AFTER: dict[str, Callable[[dict], None]] = {
    "AWS::S3::BucketPolicy": _put_bucket_policy,
    "AWS::SNS::TopicPolicy": _put_topic_policy,
    "AWS::EC2::SubnetRouteTableAssociation": _associate_routes,
}
