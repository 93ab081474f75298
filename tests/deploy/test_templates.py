"""The templates as data: what has to hold for each of them, made or not."""

import json
import os
import re
import secrets
import subprocess
import sys

import pytest
from django.core.management import get_commands

from tests.deploy import policies
from tests.deploy.account import PARAMETERS
from tests.deploy.templates import FOLDER, ROOT, listed, order, resources, template, walk

# Actions that AWS knows for no single resource.
FOR_ALL = {"ecr:GetAuthorizationToken", "kms:CreateKey"}
OPENING = {"kms:Decrypt", "kms:ReEncryptFrom"}
# Key policies that let a service of AWS use a key for whoever may use the service, and their statements.
THROUGH_SERVICES = {"ThroughRDS"}


def statements():
    """Every statement of every policy: its stack, whether it is of a key policy, and itself."""
    for stack in order():
        for resource in template(stack)["Resources"].values():
            for each in walk(resource):
                for statement in listed(each.get("Statement", [])):
                    if isinstance(statement, dict) and "Effect" in statement:
                        yield stack, "KeyPolicy" in resource["Properties"], statement


def definitions():
    """Every task definition, and its one container."""
    for stack, name, properties in resources("AWS::ECS::TaskDefinition"):
        (container,) = properties["ContainerDefinitions"]
        yield f"{stack}-{name}", properties, container


def text_of(value):
    return json.dumps(value)


def test_order_has_every_template():
    assert sorted(order()) == sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("stack", order())
def test_template_is_small_enough_to_be_sent_without_a_bucket(stack):
    assert (FOLDER / f"{stack}.yaml").stat().st_size <= 51_200


def test_every_import_is_exported_by_an_earlier_stack():
    exported = set()
    for stack in order():
        imported = {text_of(each["Fn::ImportValue"]) for each in walk(template(stack)) if "Fn::ImportValue" in each}
        assert imported <= exported, stack
        exported |= {text_of(each["Export"]["Name"]) for each in template(stack).get("Outputs", {}).values()}


# Rights


def test_every_statement_names_its_resources():
    assert len(list(statements())) > 60
    for stack, is_of_key, statement in statements():
        if "Resource" not in statement:
            # Who may take a role; the role is the resource.
            assert statement["Action"] == "sts:AssumeRole", stack
        elif "*" in listed(statement["Resource"]) and not is_of_key:
            assert set(listed(statement["Action"])) <= FOR_ALL, (stack, statement)


def test_no_statement_allows_whole_services():
    for stack, _, statement in statements():
        if statement["Effect"] == "Allow":
            assert not any("*" in action for action in listed(statement["Action"])), (stack, statement)
            assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement), (stack, statement)


def test_whatever_opens_is_bound_to_a_context():
    opening = [(s, s.get("Condition", {})) for _, _, s in statements() if OPENING & set(listed(s["Action"]))]
    allowed = [(s, condition) for s, condition in opening if s["Effect"] == "Allow"]
    assert len(allowed) > 8
    for statement, condition in allowed:
        keys = {key for test in condition.values() for key in test}
        is_of_endpoint = keys == {"aws:PrincipalAccount"} and "kms:GenerateMac" in statement["Action"]
        is_through_service = statement.get("Sid") in THROUGH_SERVICES and "kms:ViaService" in keys
        assert is_of_endpoint or is_through_service or any(key.startswith("kms:EncryptionContext:") for key in keys)


def test_nothing_of_ours_is_open_to_everybody():
    for stack, _, statement in statements():
        principal = statement.get("Principal")
        if statement["Effect"] == "Allow" and principal in ("*", {"AWS": "*"}):
            keys = {key for test in statement.get("Condition", {}).values() for key in test}
            is_layers = "starport-layer-bucket" in text_of(statement["Resource"])
            assert is_layers or keys & {"aws:PrincipalAccount", "kms:CallerAccount"}, (stack, statement)


# Network


EGRESS = {
    "PublicLoadBalancerGroup": set(),
    "InternalLoadBalancerGroup": set(),
    "ClientGroup": set(),
    "WebGroup": {587},
    "DataAccessGroup": {587},
    "TaskGroup": {587},
    "EventsGroup": {443, 587},
    "DatabaseGroup": {1},
    "EndpointGroup": {1},
}


def test_tasks_reach_the_internet_for_mail_alone_and_one_for_webhooks():
    found = {
        name: {rule["FromPort"] for rule in properties["SecurityGroupEgress"] if "CidrIp" in rule}
        for _, name, properties in resources("AWS::EC2::SecurityGroup")
    }
    assert found == EGRESS


def test_rules_of_groups_are_of_one_port():
    rules = [rule for *_, p in resources("AWS::EC2::SecurityGroup") for rule in p["SecurityGroupEgress"]]
    rules += [properties for *_, properties in resources("AWS::EC2::SecurityGroupIngress")]
    assert all(rule["IpProtocol"] == "tcp" and rule["FromPort"] == rule["ToPort"] for rule in rules)


# Tasks


@pytest.mark.parametrize(
    ("definition", "container"), [row[1:] for row in definitions()], ids=[r[0] for r in definitions()]
)
def test_task_has_nothing_that_it_does_not_need(definition, container):
    assert container["ReadonlyRootFilesystem"] is True
    assert container["User"] == "10001:10001"
    assert container["Privileged"] is False
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    # In memory: no request is on a disk.
    assert [each["ContainerPath"] for each in container["LinuxParameters"]["Tmpfs"]] == ["/tmp"]  # noqa: S108
    # The image has an init of its own, which complains in the log where it is not the first process.
    assert not container["LinuxParameters"].get("InitProcessEnabled")
    assert "Volumes" not in definition
    assert "MountPoints" not in container
    assert container["LogConfiguration"]["LogDriver"] == "awslogs"


def test_nobody_gets_a_shell_in_a_task():
    services = resources("AWS::ECS::Service")
    assert [properties["EnableExecuteCommand"] for *_, properties in services] == [False, False]
    assert "ssmmessages" not in "".join(path.read_text() for path in FOLDER.glob("*.yaml"))


def test_secrets_are_no_plain_variables():
    for name, _, container in definitions():
        plain = {variable["Name"] for variable in container["Environment"]}
        assert not [each for each in plain if re.search("PASSWORD|SECRET|TOKEN", each)], name
        assert {"SECRET_KEY", "DATABASE_PASSWORD"} <= {variable["Name"] for variable in container["Secrets"]}, name


def test_web_tier_answers_pages_alone_and_the_other_no_pages():
    surfaces = {
        name: variable["Value"]
        for name, _, container in definitions()
        for variable in container["Environment"]
        if variable["Name"] == "SURFACES"
    }
    assert surfaces.pop("services-WebTask") == "web"
    assert surfaces.pop("services-DataAccessTask") == "api,admin"
    assert set(surfaces.values()) == {"admin"}


def test_every_scheduled_command_is_one_of_the_product():
    commands = get_commands()
    scheduled = [json.loads(properties["Target"]["Input"]) for *_, properties in resources("AWS::Scheduler::Schedule")]
    assert len(scheduled) > 5
    for each in scheduled:
        (override,) = each["containerOverrides"]
        assert override["name"] == "app"
        assert override["command"][:2] == ["python", "manage.py"]
        assert override["command"][2] in commands


def test_what_operations_asks_for_often_is_scheduled():
    table = (ROOT / "docs" / "operations.md").read_text().partition("| when | what |")[2].partition("\n\n")[0]
    asked = {
        command
        for row in re.findall(r"every (?:minute|few minutes|night|week) \|.*", table)
        for command in re.findall(r"`(\w+)", row)
    }
    # From outside the account: what browsers are served.
    asked -= {"card_scripts"}
    scheduled = " ".join(properties["Target"]["Input"] for *_, properties in resources("AWS::Scheduler::Schedule"))
    assert asked
    assert [command for command in asked if f'"{command}"' not in scheduled] == []


def test_task_of_a_schedule_has_the_network_of_its_role():
    for _, name, properties in resources("AWS::Scheduler::Schedule"):
        parameters = properties["Target"]["EcsParameters"]
        group = text_of(parameters["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"])
        assert ("events-group-id" in group) == (parameters["TaskDefinitionArn"] == {"Ref": "EventsTask"}), name


def test_every_variable_is_one_that_the_product_reads():
    sources = [*(ROOT / "billing").rglob("*.py"), *(ROOT / "vault").rglob("*.py")]
    read = set(re.findall(r'"([A-Z][A-Z0-9_]+)"', "\n".join(path.read_text() for path in sources)))
    for name, _, container in definitions():
        given = {variable["Name"] for variable in container["Environment"] + container["Secrets"]}
        assert given <= read, name


def test_firewall_keeps_nothing_of_a_request():
    assert not resources("AWS::WAFv2::LoggingConfiguration")
    ((_, _, firewall),) = resources("AWS::WAFv2::WebACL")
    seen = [each["SampledRequestsEnabled"] for each in walk(firewall) if "SampledRequestsEnabled" in each]
    assert len(seen) == len(firewall["Rules"]) + 1
    assert not any(seen)


def test_load_balancers_log_connections_and_no_addresses():
    for _, name, properties in resources("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        attributes = {each["Key"]: each["Value"] for each in properties["LoadBalancerAttributes"]}
        assert attributes["connection_logs.s3.enabled"] == "true", name
        # The address of a request may hold what somebody typed.
        assert not any(key.startswith("access_logs.") for key in attributes), name
        assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true", name


def test_listeners_speak_tls_or_redirect():
    for _, name, properties in resources("AWS::ElasticLoadBalancingV2::Listener"):
        (action,) = properties["DefaultActions"]
        assert properties["Protocol"] == "HTTPS" or action["RedirectConfig"]["Protocol"] == "HTTPS", name
    for _, name, properties in resources("AWS::ElasticLoadBalancingV2::TargetGroup"):
        assert properties["Protocol"] == properties["HealthCheckProtocol"] == "HTTPS", name


# Who could let themselves in


def test_every_key_says_what_it_is_for():
    # A key that says nothing the operator's role may call a card key, and then disable.
    for _, name, properties in resources("AWS::KMS::Key"):
        assert "vault-key" in {tag["Key"] for tag in properties.get("Tags", [])}, name
        assert "TagResource" in text_of(properties["KeyPolicy"]), name


# Of a key or a role: whoever does one of these may use a key, or let somebody.
LETTING_IN = {
    *("PutKeyPolicy", "CreateGrant", "TagResource", "UntagResource"),
    *("UpdateAssumeRolePolicy", "PutRolePolicy", "AttachRolePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion"),
    *("DeleteRolePolicy", "DetachRolePolicy", "CreateRole"),
}


def test_an_alarm_sounds_when_somebody_lets_themselves_in():
    watched = {properties["MetricName"] for *_, properties in resources("AWS::CloudWatch::Alarm")}
    patterns = {}
    for _, name, properties in resources("AWS::Logs::MetricFilter"):
        (metric,) = properties["MetricTransformations"]
        assert metric["MetricName"] in watched, name
        patterns[name] = policies.resolved(properties["FilterPattern"])
        # AWS takes no longer ones.
        assert len(patterns[name]) <= 1024, name
    assert set(re.findall(r'eventName = "(\w+)', " ".join(patterns.values()))) >= LETTING_IN
    assert '"billing-*"' in patterns["RoleChangeFilter"]


# Logs and what is kept


def test_every_log_group_has_a_key_and_an_end():
    groups = resources("AWS::Logs::LogGroup")
    assert len(groups) > 6
    for _, name, properties in groups:
        assert properties["KmsKeyId"] == {"Fn::GetAtt": ["OperationsKey", "Arn"]}, name
        assert properties["RetentionInDays"] == {"Ref": "LogDays"}, name
    assert template("watch")["Parameters"]["LogDays"]["Default"] >= 365


KEPT = [
    "AWS::DynamoDB::Table",
    "AWS::ECR::Repository",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
]


@pytest.mark.parametrize("kind", KEPT)
def test_what_cannot_be_made_anew_outlives_its_stack(kind):
    found = [each for stack in order() for each in template(stack)["Resources"].values() if each["Type"] == kind]
    assert found
    for each in found:
        # What a first attempt that failed left behind would have the names that the next one needs.
        assert each["DeletionPolicy"] in {"RetainExceptOnCreate", "Snapshot"}
        assert each["UpdateReplacePolicy"] == each["DeletionPolicy"].removesuffix("ExceptOnCreate")


def test_role_of_the_trail_has_no_condition_that_cloudtrail_does_not_meet():
    role = template("audit")["Resources"]["TrailRole"]["Properties"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
    assert "Condition" not in statement


def test_every_skip_of_checkov_has_a_reason():
    skips = [skip for stack in order() for each in walk(template(stack)) for skip in listed(each.get("skip", []))]
    assert skips
    assert all(len(skip["comment"]) > 20 for skip in skips)


# The settings of production


class Values(dict):
    """The values of a template's references: what is not a parameter is something that another stack exports."""

    def __missing__(self, name):
        return name


def environment_of(stack, container):
    """What a container is given, with parameters as in `tests.deploy.account` and a made-up value for each secret."""
    defaults = {name: str(each.get("Default", "")) for name, each in template(stack)["Parameters"].items()}
    values = Values(policies.VALUES | defaults | PARAMETERS)
    given = {each["Name"]: str(policies.resolved(each["Value"], values)) for each in container["Environment"]}
    # Those of the image, in which this file would be a bundle of certificates.
    given |= {"DATABASE_CA": __file__, "DJANGO_SETTINGS_MODULE": "billing.settings.production"}
    return given | {each["Name"]: secrets.token_hex(32) for each in container["Secrets"]}


@pytest.mark.parametrize("name", ["services-WebTask", "cluster-DatabaseUsers"])
def test_settings_take_what_a_task_is_given(name):
    (container,) = [container for each, _, container in definitions() if each == name]
    environment = environment_of(name.partition("-")[0], container) | {"PATH": os.environ["PATH"]}
    code = "import django; django.setup(); from vault.conf import vault_config; print(vault_config().CARD_KEY)"
    started = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (started.returncode, started.stdout) == (0, "alias/billing-vault-card\n"), started.stderr[-2000:]
