"""Both keys rotated by real processes that are really killed, while another one reads and writes all the time."""

import json
import subprocess
import time

import pytest

from tests.cards import CANARY_BIN, with_check_digit
from tests.processes import installation, kill_after

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
__all__ = ["installation"]

# Notes of a killed run may be those of a living one for 8 seconds, and a list of keys is good for one.
FAST = {
    "VAULT_KEYS_MAX_AGE": "1",
    "VAULT_CONNECT_TIMEOUT": "0.25",
    "VAULT_READ_TIMEOUT": "0.25",
    "VAULT_READ_BUDGET": "1000000",
}
KNOWN = 75
# After it said that it is about to open a batch of 25 cards, each of which takes some 20 ms.
KILL_AFTER = (0.0, 0.1, 0.3)

KEEP = """
import sys
from vault import services
from vault.pan import PAN
numbers = sys.stdin.read().split()
tokens = [result.token.text for result in services.tokenize_many([PAN(number) for number in numbers])]
print("\\n" + " ".join(tokens))
"""

CARDS_ARE_LEFT = 2
NOTES = """
from vault.models import ItemChange
print("\\n" + str(ItemChange.objects.count()))
"""

# Reads a known card, hands another one in again, and keeps a new one: for ever, until the file is there.
TRAFFIC = """
import json, os, random, sys
from django.contrib.auth.models import Permission, User
from vault import services
from vault.conf import vault_config
from vault.pan import PAN
stop, known, new = json.loads(sys.stdin.read())
reader, _ = User.objects.get_or_create(username="reader")
for right in ("detokenize_pan", "detokenize_unattended"):
    reader.user_permissions.add(Permission.objects.get(codename=right))
known, rounds = list(known.items()), 0
while not os.path.exists(stop):
    number, token = random.choice(known)
    got = services.detokenize(token, actor=reader, purpose="settlement: traffic of a test")
    assert got.expose() == number, "wrong card"
    number, token = random.choice(known)
    result = services.tokenize(PAN(number))
    assert (result.token.text, result.status) == (token, "existing"), "known card not recognized"
    if new and rounds % 5 == 0:
        number = new.pop()
        known.append((number, services.tokenize(PAN(number)).token.text))
    rounds += 1
    if rounds == 3:
        sys.stderr.write("going\\n")
        sys.stderr.flush()
print("\\n" + json.dumps([rounds, dict(known)]))
"""


def numbers(first, count):
    return [with_check_digit(f"{CANARY_BIN}{first + number:07d}") for number in range(count)]


@pytest.fixture
def traffic(installation):
    """A process that reads and writes while the test goes on; `traffic()` ends it and says what it did."""
    tokens = installation.run(KEEP, stdin=" ".join(numbers(0, KNOWN))).split()
    known = dict(zip(numbers(0, KNOWN), tokens, strict=True))
    stop = installation.folder / "stop"
    process = installation.script(
        TRAFFIC, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdin.write(json.dumps([str(stop), known, numbers(KNOWN, 400)]))
    process.stdin.close()
    process.stdin = None
    for line in process.stderr:
        if line == "going\n":
            break

    def end():
        stop.touch()
        out, said = process.communicate(timeout=60)
        assert process.returncode == 0, said[-2000:]
        return json.loads(out.splitlines()[-1])

    yield end
    process.kill()
    process.communicate()


def reencrypt(installation):
    """Kill it on its way a few times, then let two segments finish side by side."""
    for seconds in KILL_AFTER:
        process = installation.start("vault_reencrypt", "--rate=60", stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if '"operation": "reencrypt"' in line:
                break
        assert kill_after(process, seconds)
        process.communicate()
    halves, end = {0, 1}, time.monotonic() + 90
    while halves:
        assert time.monotonic() < end
        processes = {
            half: installation.start("vault_reencrypt", f"--segment={half}", "--total-segments=2") for half in halves
        }
        halves = {half for half, process in processes.items() if process.wait()}
        # The notes of the dead hold for a while.
        assert all(processes[half].returncode == CARDS_ARE_LEFT for half in halves)
        time.sleep(2 if halves else 0)
    assert installation.run(NOTES) == "0"


def keys(installation):
    listed = json.loads(installation.manage("vault_keys", "--format=json"))
    return {(key["purpose"], key["number"]): (key["state"], key["items"]) for key in listed}


@pytest.mark.parametrize("installation", [FAST], indirect=True)
def test_both_keys_are_rotated_under_traffic_and_kills(installation, traffic):
    installation.manage("vault_rotate", "card")
    time.sleep(1.5)
    reencrypt(installation)
    assert keys(installation)["card", 1] == ("old", 0)
    installation.manage("vault_rotate", "card", "--retire=1", "--disable")

    installation.manage("vault_rotate", "fingerprint")
    time.sleep(1.5)
    reencrypt(installation)
    installation.manage("vault_rotate", "fingerprint", "--promote")
    time.sleep(1.5)
    reencrypt(installation)
    installation.manage("vault_rotate", "fingerprint", "--retire=1")

    rounds, known = traffic()
    assert rounds > 20
    assert len(set(known.values())) == len(known) > KNOWN
    cards = len(known)
    assert keys(installation) == {
        ("card", 1): ("retired", 0),
        ("card", 2): ("active", cards),
        ("fingerprint", 1): ("retired", 0),
        ("fingerprint", 2): ("active", cards),
        ("audit", 1): ("active", 0),
        ("certificate", 1): ("active", 0),
    }
    again = installation.run(KEEP, stdin=" ".join(known)).split()
    assert again == list(known.values())


ALIAS = """
from vault.backend import current_vault
vault = current_vault()
print("\\n" + vault.session.key_arn(vault.config.CARD_KEY))
"""


@pytest.mark.parametrize("installation", [{"VAULT_KEYS_MAX_AGE": "600"}], indirect=True)
def test_a_rotation_that_was_killed_is_finished_by_the_next(installation):
    """The first one waits until no process works with the settings any more, and is killed then."""
    first = installation.run(ALIAS)
    process = installation.start("vault_rotate", "card")
    end = time.monotonic() + 60
    while ("card", 2) not in states(installation):
        assert time.monotonic() < end
    assert kill_after(process, 0)
    assert states(installation)["card", 2] == "active"
    assert installation.run(ALIAS) == first
    installation.environment["VAULT_KEYS_MAX_AGE"] = "1"
    installation.manage("vault_rotate", "card")
    assert installation.run(ALIAS) != first
    assert states(installation)["card", 1] == "old"
    assert ("card", 3) not in states(installation)


def states(installation):
    listed = json.loads(installation.manage("vault_keys", "--no-items", "--format=json"))
    return {(key["purpose"], key["number"]): key["state"] for key in listed}
