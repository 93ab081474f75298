"""deploy/stacks, with an `aws` on the path that writes down what it is asked."""

import json
import os
import re
import subprocess

import pytest

from tests.deploy.templates import ROOT, order, template

FAKE = r"""#!/usr/bin/env bash
# One line a call; what is in $ANSWERS under the words that it begins with is said.
printf '%s\n' "$*" >>"$CALLS"
case "$*" in
	*"$FAILING"*) echo "An error occurred" >&2; exit 254 ;;
esac
while IFS='|' read -r beginning answer; do
	case "$*" in "$beginning"*) printf '%b\n' "$answer"; exit ;; esac
done <"$ANSWERS"
"""
ANSWERS = {
    "ec2 describe-managed-prefix-lists": "pl-0123",
    "ecs run-task": "arn:aws:ecs:eu-central-1:1:task/billing/0123abcd",
    "logs get-log-events": "The vault can be used.",
    "ecs describe-tasks": "0",
    "cloudformation describe-stacks": "subnet-1,subnet-2",
}
PARAMETERS = "# a comment\n\nDomain=billing.example.com\nStaffNetwork=\nAlarmEmail=security@example.com\nTasksMost=20\n"


@pytest.fixture
def account(tmp_path):
    """`account("billing", "up")` runs the script and returns its end, what it said, and the calls of aws."""
    (tmp_path / "aws").write_text(FAKE)
    (tmp_path / "aws").chmod(0o755)
    (tmp_path / "parameters").write_text(PARAMETERS)

    def run(*arguments, failing="nothing", answers=ANSWERS, **environment):
        (tmp_path / "answers").write_text("".join(f"{asked}|{said}\n" for asked, said in answers.items()))
        (tmp_path / "calls").write_text("")
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CALLS": str(tmp_path / "calls"),
            "ANSWERS": str(tmp_path / "answers"),
            "FAILING": failing,
            "PARAMETERS": str(tmp_path / "parameters"),
            "AWS_REGION": "eu-central-1",
            "PAUSE": "0",
        } | environment
        done = subprocess.run(
            [ROOT / "deploy" / "stacks", *arguments], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr, (tmp_path / "calls").read_text().splitlines()

    return run


def deployed(calls):
    return [
        call.split("--stack-name billing-")[1].split()[0] for call in calls if call.startswith("cloudformation deploy ")
    ]


def test_stacks_are_brought_up_in_their_order(account):
    code, said, calls = account("billing", "up")
    assert code == 0
    assert deployed(calls) == order()
    assert said.splitlines() == [f"==> billing-{stack}" for stack in order()]


def test_foundation_is_what_the_first_image_needs(account):
    _, _, calls = account("billing", "up", "foundation")
    assert deployed(calls) == ["watch", "network", "registry", "roles", "data", "audit", "cluster"]


def test_first_failure_ends_it_and_is_named(account):
    code, said, calls = account("billing", "up", failing="--stack-name billing-data")
    assert code == 1
    assert deployed(calls) == ["watch", "network", "registry", "roles", "data"]
    assert "!!! billing-data failed." in said


def test_network_is_not_made_without_the_prefix_lists(account):
    code, _, calls = account("billing", "up", failing="com.amazonaws.eu-central-1.s3")
    assert code == 1
    assert deployed(calls) == ["watch"]


def test_each_stack_is_given_the_parameters_that_it_declares(account):
    _, _, calls = account("billing", "up", "network", "certificates", "services")
    given = [call.split("--parameter-overrides ")[1] for call in calls if "--parameter-overrides" in call]
    assert given == [
        "Name=billing S3PrefixList=pl-0123 DynamoDBPrefixList=pl-0123",
        "Name=billing Domain=billing.example.com",
        "Name=billing Domain=billing.example.com AlarmEmail=security@example.com TasksMost=20",
    ]


def test_what_cannot_be_made_anew_is_protected(account):
    _, _, calls = account("billing", "up", "data", "services")
    assert [call for call in calls if "termination-protection" in call] == [
        "cloudformation update-termination-protection --enable-termination-protection --stack-name billing-data"
    ]


REFUSED = [
    ("unknown stack", ("billing", "up", "nowhere"), "There is no stack nowhere."),
    ("unknown verb", ("billing", "down"), "Usage:"),
    ("no verb", ("billing",), "Usage:"),
    ("impossible name", ("Billing!", "up"), "NAME is made of"),
    ("unknown task", ("billing", "run", "web", "migrate"), "TASK is operator, migrate or database-users."),
    ("nothing to run", ("billing", "run", "operator"), "Usage:"),
]


@pytest.mark.parametrize(("arguments", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_makes_no_sense_is_refused_and_changes_nothing(account, arguments, reason):
    code, said, calls = account(*arguments)
    assert code == 1
    assert reason in said
    assert calls == []


def test_misspelled_parameter_is_refused(account, tmp_path):
    (tmp_path / "other").write_text("Domian=billing.example.com\n")
    code, said, calls = account("billing", "up", PARAMETERS=str(tmp_path / "other"))
    assert code == 1
    assert "has Domian, which is a parameter of no stack." in said
    assert deployed(calls) == []


def test_missing_file_of_parameters_is_named(account):
    code, said, _ = account("billing", "up", PARAMETERS="/nowhere")
    assert code == 1
    assert "There is no /nowhere. Copy deploy/parameters.example" in said


def test_example_names_every_parameter():
    example = (ROOT / "deploy" / "parameters.example").read_text()
    named = dict(re.findall(r"^#?([A-Z]\w*)=(.*)$", example, re.MULTILINE))
    declared = {name: each for stack in order() for name, each in template(stack)["Parameters"].items()}
    # The first is an argument, and the script looks the others up.
    for name in ("Name", "S3PrefixList", "DynamoDBPrefixList"):
        del declared[name]
    assert set(named) == set(declared)
    optional = {name: str(each["Default"]) for name, each in declared.items() if "Default" in each}
    assert {name: named[name] for name in optional} == optional


def test_diff_executes_nothing(account):
    answers = {"cloudformation deploy": "aws cloudformation describe-change-set --change-set-name arn:aws:changeSet/1"}
    code, said, calls = account(
        "billing", "diff", "data", answers=answers | {"cloudformation describe-change-set": "Modify"}
    )
    assert code == 0
    assert "Modify" in said
    assert [call.split()[1] for call in calls] == [
        "describe-stacks",
        "deploy",
        "describe-change-set",
        "delete-change-set",
    ]
    assert "--no-execute-changeset" in calls[1]


def test_diff_says_what_is_not_there(account):
    code, said, calls = account("billing", "diff", "data", failing="describe-stacks --stack-name billing-data")
    assert code == 0
    assert "is not there yet" in said
    assert deployed(calls) == []


def test_command_is_run_as_a_task_and_its_log_is_shown(account):
    code, said, calls = account("billing", "run", "operator", "vault_check", "--help me")
    assert code == 0
    assert "The vault can be used." in said
    (started,) = [call for call in calls if call.startswith("ecs run-task")]
    overrides, _ = json.JSONDecoder().raw_decode(started.split("--overrides ")[1])
    assert overrides["containerOverrides"][0]["command"] == ["python", "manage.py", "vault_check", "--help me"]
    assert "subnets=[subnet-1,subnet-2]" in started
    assert "assignPublicIp=DISABLED" in started
    assert any("--log-stream-name operator/app/0123abcd" in call for call in calls)


def test_task_ends_as_its_command(account):
    code, _, _ = account("billing", "run", "operator", "vault_fsck", answers=ANSWERS | {"ecs describe-tasks": "2"})
    assert code == 2


def test_task_that_did_not_start_is_a_failure(account):
    code, said, _ = account(
        "billing", "run", "operator", "vault_fsck", answers=ANSWERS | {"ecs describe-tasks": "None"}
    )
    assert code == 1
    assert "!!! It did not start" in said
