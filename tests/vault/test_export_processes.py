"""A real export, killed again and again, on a database and a vault of its own."""

import json
import time
from collections import Counter

import pytest

from tests.leaks import Sink
from tests.processes import installation, kill_after
from tests.vault.recipients import public_pem, thumbprint, unsealed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
__all__ = ["installation"]
CARDS = 300
KILLS = 4

# The numbers come on standard input: a command line is everybody's to read.
SET_UP = """
import sys
from django.contrib.auth.models import Permission, User
from vault import exports, services
from vault.envelopes import RecipientKey
from vault.pan import PAN
from vault.purposes import Purpose
key, *numbers = sys.stdin.read().split("|")
services.tokenize_many([PAN(number) for number in numbers])
people = {}
for name, right in (("ada", "request_export"), ("bob", "approve_export"), ("cleo", "approve_export")):
    people[name] = User.objects.create_user(name)
    people[name].user_permissions.add(Permission.objects.get(codename=right))
made = exports.request(
    actor=people["ada"], recipient="B", key=RecipientKey.parse(key), purpose=Purpose("settlement", "x"), ticket="T"
)
for name in ("bob", "cleo"):
    exports.approve(made, actor=people[name])
print(f"request {made.pk}")
"""


def lines(path):
    """Whole lines alone."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_every_card_once_however_often_it_is_killed(installation, tmp_path, canary, leaks):
    numbers = [canary(f"card {number}") for number in range(CARDS)]
    sent = "|".join([public_pem("p-256"), *numbers])
    request = installation.run(SET_UP, stdin=sent).rpartition(" ")[2]
    output = tmp_path / "out.jsonl"
    arguments = ["vault_export", request, "--output", output]
    seen = []
    for _ in range(KILLS):
        before = lines(output)
        process = installation.start(*arguments, "--rate", "20")
        deadline = time.monotonic() + 40
        # At once after a batch: the next one is being opened, sealed or written.
        while lines(output) <= max(before, 1) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert kill_after(process, 0)
        seen.append(lines(output))
    assert seen == sorted(set(seen))
    assert seen[0] > 1
    assert seen[-1] < CARDS
    with output.open("ab") as file:
        file.write(b'{"token":"tok1_')
    said = installation.manage(*arguments, "--format", "json")
    report = json.loads(said)
    assert (report["state"], report["exported"], report["failed"]) == ("done", CARDS, {})
    header, *cards = [json.loads(line) for line in output.read_text().splitlines()]
    assert header["thumbprint"] == thumbprint("p-256")
    assert Counter(unsealed("p-256", entry["jwe"])[1]["number"] for entry in cards) == Counter(numbers)
    assert "holds together" in installation.manage("vault_audit", "verify")
    for database in ("default", "audit"):
        leaks.record(Sink.TABLE, installation.manage("dumpdata", "vault", "--database", database), database)
    leaks.record(Sink.SUBPROCESS, said + output.read_text(), "export")
