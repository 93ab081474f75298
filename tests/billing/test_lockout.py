"""Ten failures lock for 30 minutes: for accounts and for names that are none, in all processes and after a restart."""

import json
import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import mail
from django.db import connections
from django.test import Client
from django.utils import timezone

from billing import lockout
from tests.billing.people import PASSWORD, events, make_staff, outcomes, post_password, sent_code, sign_in
from tests.factories import code_of, make_authenticator, make_user
from vault.audit import events as module
from vault.exceptions import AuditUnavailable
from vault.models import AuditEvent

pytestmark = pytest.mark.django_db
CONFIRM = "/accounts/confirm-email/"


@pytest.fixture(autouse=True)
def any_address(settings):
    """Here the failures of an account are counted, and not those of an address."""
    settings.ACCOUNT_RATE_LIMITS = False


def fail(user, times, client=None):
    return [post_password(client or Client(), user, "wrong horse battery") for _ in range(times)]


def is_signed_in(client):
    return "_auth_user_id" in client.session


@pytest.fixture
def later(monkeypatch):
    """Let time pass, for the lock and for what is recorded."""
    passed = timedelta()
    now = timezone.now

    def let(minutes):
        nonlocal passed
        passed += timedelta(minutes=minutes)

    monkeypatch.setattr("billing.lockout.timezone.now", lambda: now() + passed)
    return let


def test_after_ten_failures_the_right_password_is_wrong():
    user, client = make_user(password=PASSWORD), Client()
    fail(user, 10)
    page = post_password(client, user)
    assert lockout.SENTENCE in page.text
    assert not is_signed_in(client)
    assert outcomes("sign_in")[-2:] == ["intent", "denied"]


def test_after_nine_failures_it_is_not_and_counting_begins_anew():
    user = make_user(password=PASSWORD)
    for _ in range(3):
        fail(user, 9)
        client = Client()
        post_password(client, user)
        assert is_signed_in(client)


def test_the_lock_is_one_alarm():
    user = make_user(password=PASSWORD)
    fail(user, 14)
    (alarm,) = events("sign_in.lock")
    assert alarm.is_alarm
    assert outcomes("sign_in").count("failed") == 10
    assert outcomes("sign_in").count("denied") == 4


def test_a_name_that_nobody_has_is_answered_in_the_same_way():
    user, nobody = make_user(password=PASSWORD), make_user("bob")
    nobody.delete()
    known, unknown = fail(user, 12), fail(nobody, 12)

    def strip(page, email):
        return page.text.replace(email, "").split("csrfmiddlewaretoken")[0]

    for one, other in zip(known, unknown, strict=True):
        assert one.status_code == other.status_code
        assert strip(one, user.email) == strip(other, nobody.email)
    assert lockout.SENTENCE in unknown[-1].text


def test_what_was_typed_is_not_in_the_log():
    typed = "my-password@example.com"
    Client().post("/accounts/login/", {"login": typed, "password": "wrong horse battery"})
    everything = repr(list(AuditEvent.objects.values()))
    assert typed not in everything
    assert "wrong horse" not in everything


def test_others_are_not_locked():
    fail(make_user(password=PASSWORD), 10)
    other = make_user("bob", password=PASSWORD)
    assert is_signed_in(sign_in(other))


def test_the_lock_ends_after_30_minutes_whatever_was_tried_meanwhile(later):
    user = make_user(password=PASSWORD)
    fail(user, 15)
    later(29)
    assert lockout.SENTENCE in post_password(Client(), user).text
    later(2)
    assert is_signed_in(sign_in(user))


def test_failures_that_are_far_apart_do_not_lock(later):
    user = make_user(password=PASSWORD)
    fail(user, 9)
    later(31)
    fail(user, 1)
    assert is_signed_in(sign_in(user))


def test_all_addresses_of_an_account_are_one():
    user = make_user(password=PASSWORD)
    EmailAddress.objects.create(user=user, email="other@example.com", verified=True)
    fail(user, 5)
    for _ in range(5):
        Client().post("/accounts/login/", {"login": "Other@example.com", "password": "wrong horse battery"})
    assert lockout.SENTENCE in post_password(Client(), user).text


def claim(user, other, *, verified=False):
    """Somebody says that the address of another one is theirs; not by the form, which refuses that."""
    EmailAddress.objects.create(user=user, email=other.email, verified=verified)


def test_who_claims_an_address_does_not_reset_the_count_of_its_owner():
    user, other = make_user(password=PASSWORD), make_user("eve", password="eve's own password")
    fail(user, 9)
    claim(other, user)
    fail(user, 1)
    assert lockout.SENTENCE in post_password(Client(), user).text
    assert lockout.subject_of_account(user.pk) in {event.subject for event in events("sign_in.lock")}


def test_who_signs_in_with_the_address_of_another_lifts_their_own_count_alone():
    user, other = make_user(password=PASSWORD, is_verified=False), make_user("eve", password="eve's own password")
    claim(other, user)
    for _ in range(2):
        fail(user, 4)
        client = Client()
        # It goes on with a code to the address, which is not hers.
        assert post_password(client, user, "eve's own password").url == "/accounts/confirm-email/"
        assert not is_signed_in(client)
        assert outcomes("sign_in", subject=lockout.subject_of_account(other.pk))[-1] == "done"
    # Ten times it was not the owner's password.
    assert outcomes("sign_in", subject=lockout.subject_of_account(user.pk)) == ["intent", "failed"] * 10
    assert lockout.SENTENCE in post_password(Client(), user).text


def test_one_that_is_locked_refuses_all_who_share_the_address():
    user, other = make_user(password=PASSWORD), make_user("eve", password="eve's own password")
    fail(user, 10)
    claim(other, user)
    client = Client()
    assert lockout.SENTENCE in post_password(client, user, "eve's own password").text
    assert not is_signed_in(client)
    assert outcomes("sign_in", subject=lockout.subject_of_account(other.pk)) in ([], ["intent", "denied"])


def test_who_verified_the_address_is_the_only_one_meant():
    user, other = make_user(password=PASSWORD), make_user("eve", password=PASSWORD)
    claim(other, user)
    fail(user, 10)
    assert is_signed_in(sign_in(other))
    assert lockout.SENTENCE in post_password(Client(), user).text


@pytest.mark.parametrize("verified", [True, False, None], ids=["verified", "unverified", "without a row"])
def test_nobody_adds_the_address_of_another(verified):
    user, other = make_user(password=PASSWORD, is_verified=False), make_user("eve", password=PASSWORD)
    if verified is not None:
        claim(user, user, verified=verified)
    client = sign_in(other)
    # As for an address that nobody has: pages do not say who has an account.
    assert client.post("/accounts/email/", {"action_add": "", "email": user.email.upper()}).url == CONFIRM
    assert mail.outbox[-1].to == [user.email]
    # Not even who reads its mail as well: a password would be tried with both accounts.
    assert "already registered" in client.post(CONFIRM, {"code": sent_code()}).text
    assert not EmailAddress.objects.filter(user=other, email=user.email).exists()


def test_a_new_address_is_added_when_it_is_verified():
    user = make_user(password=PASSWORD)
    client = sign_in(user)
    client.post("/accounts/email/", {"action_add": "", "email": "new@example.com"})
    assert not EmailAddress.objects.filter(user=user, email="new@example.com").exists()
    client.post(CONFIRM, {"code": sent_code()})
    assert EmailAddress.objects.filter(user=user, email="new@example.com", verified=True).exists()


def test_the_password_asked_for_in_a_session_is_counted_with_the_rest():
    user = make_user(password=PASSWORD)
    client = sign_in(user)
    for _ in range(10):
        client.post("/accounts/reauthenticate/", {"password": "wrong horse battery"})
    assert lockout.SENTENCE in client.post("/accounts/reauthenticate/", {"password": PASSWORD}).text
    assert lockout.SENTENCE in post_password(Client(), user).text


def test_guesses_at_the_current_password_are_counted_with_the_rest():
    user, new = make_user(password=PASSWORD), "another horse battery"
    client, change = sign_in(user), {"password1": new, "password2": new}
    for _ in range(10):
        page = client.post("/accounts/password/change/", change | {"oldpassword": "wrong horse battery"})
    assert "type your current password" in page.text
    page = client.post("/accounts/password/change/", change | {"oldpassword": PASSWORD})
    assert lockout.SENTENCE in page.text
    assert outcomes("sign_in").count("failed") == 10
    assert len(events("sign_in.lock")) == 1
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert lockout.SENTENCE in post_password(Client(), user).text


def test_the_current_password_changes_it():
    user, new = make_user(password=PASSWORD), "another horse battery"
    sign_in(user).post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    user.refresh_from_db()
    assert user.check_password(new)


def test_the_admin_has_no_page_of_its_own_for_that():
    client, new = sign_in(make_staff()), "another horse battery"
    passwords = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/admin/password_change/", passwords).url == "/accounts/password/change/"
    assert not events("password.change")


def test_one_who_asks_again_for_the_password_is_not_taken_for_another_with_the_same_address():
    user, other = make_user(password=PASSWORD), make_user("eve", password="eve's own password")
    client = sign_in(user)
    claim(other, user)
    page = client.post("/accounts/reauthenticate/", {"password": "eve's own password"})
    assert page.status_code == 200
    assert not events("sign_in", subject=lockout.subject_of_account(other.pk))


@pytest.mark.parametrize("where", ["at-sign-in", "in-a-session"])
def test_ten_wrong_codes_lock_the_second_factor(where):
    staff = make_staff()
    secret = make_authenticator(staff)
    if where == "at-sign-in":
        client, address = Client(), "/accounts/2fa/authenticate/"
        post_password(client, staff)
    else:
        client, address = sign_in(staff, secret), "/accounts/2fa/reauthenticate/"
    for _ in range(10):
        client.post(address, {"code": "x"})
    records = len(client.session["account_authentication_methods"])
    page = client.post(address, {"code": code_of(secret)})
    assert lockout.SENTENCE in page.text
    assert len(client.session["account_authentication_methods"]) == records
    (alarm,) = events("mfa.use.lock")
    assert alarm.subject == f"user:{staff.pk}"


def test_an_address_from_which_too_much_comes_is_refused_without_counting_against_the_account(settings):
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "2/m/ip", "login": None}
    user = make_user(password=PASSWORD)
    assert "Too many failed login attempts" in fail(user, 12)[-1].text
    assert outcomes("sign_in").count("failed") == 2
    assert not events("sign_in.lock")


# --- Fail closed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 2], ids=["intent", "outcome", "session"])
def test_without_an_audit_log_nobody_signs_in(monkeypatch, after):
    user, client, written = make_user(password=PASSWORD), Client(), []

    class Broken:
        def append(self, content):
            if len(written) >= after:
                raise AuditUnavailable
            written.append(content)
            return ledger.append(content)

    ledger = module.current_ledger()
    monkeypatch.setattr(module, "current_ledger", Broken)
    answer = post_password(client, user)
    monkeypatch.undo()
    assert answer.status_code == 503
    assert "Not possible now" in answer.text
    assert not is_signed_in(client)
    assert client.get("/orders/").status_code == 302


# --- Processes ------------------------------------------------------------------------------------------------------

# A process of its own: waits until all are ready, guesses once, and says what became of it.
GUESS = """
import json, os, sys, time, django
from pathlib import Path
django.setup()
from django.test import Client
folder, email, password = sys.argv[1:]
client = Client(HTTP_HOST="localhost")
page = client.get("/accounts/login/")
Path(folder, f"ready-{os.getpid()}").touch()
while not Path(folder, "go").exists():
    time.sleep(0.002)
client.post("/accounts/login/", {"login": email, "password": password})
print("RESULT", json.dumps("_auth_user_id" in client.session))
"""


@pytest.fixture
def shared(tmp_path):
    """The environment of processes that share databases of their own, in which there is one user."""
    (tmp_path / "data").mkdir()
    variables = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path / "data"),
        "DJANGO_SETTINGS_MODULE": "tests.billing.shared_settings",
        "PYTHONPATH": str(settings.BASE_DIR),
    }
    with database_for_processes() as more:
        variables |= more
        for command in (["migrate"], ["migrate", "--database", "audit"], ["createcachetable"]):
            manage(variables, *command, "--verbosity", "0")
        manage(variables | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}, "createsuperuser", "--no-input", "--username", "sam", "--email", "sam@example.com")  # fmt: skip
        yield variables


@contextmanager
def database_for_processes():
    """What names the database in the environment: files in DATA_DIR, or one on the MariaDB of the tests."""
    connection = connections["default"]
    if connection.vendor == "sqlite":
        yield {}
        return
    options = {key: value for key, value in connection.get_connection_params().items() if key != "database"}
    with closing(connection.Database.connect(**options)) as server, closing(server.cursor()) as cursor:
        cursor.execute("CREATE DATABASE processes CHARACTER SET utf8mb4")
        try:
            url = urlsplit(os.environ["DATABASE_URL"])
            yield {"DATABASE_URL": urlunsplit(url._replace(path="/processes"))}
        finally:
            cursor.execute("DROP DATABASE processes")


def manage(environment, *arguments):
    subprocess.run([sys.executable, "manage.py", *arguments], env=environment, check=True, capture_output=True)


def guess(variables, tmp_path, passwords):
    folder = tmp_path / f"round-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    command = [sys.executable, "-c", GUESS, str(folder), "sam@example.com"]
    processes = [
        subprocess.Popen([*command, password], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for password in passwords
    ]
    try:
        wait_for(folder, len(processes), processes)
        (folder / "go").touch()
        printed = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    lines = [line for out, _ in printed for line in out.splitlines() if line.startswith("RESULT")]
    assert len(lines) == len(passwords), [err[-2000:] for _, err in printed]
    return [json.loads(line.removeprefix("RESULT")) for line in lines]


def wait_for(folder, number, processes):
    for _ in range(1200):
        if len(list(folder.glob("ready-*"))) == number:
            return
        if any(process.poll() for process in processes):
            break
        time.sleep(0.1)
    pytest.fail("The processes did not come up.")


READ = """
import json, django
django.setup()
from vault.models import AuditEvent
found = AuditEvent.objects.filter(operation__startswith="sign_in").values_list("operation", "outcome")
print("RESULT", json.dumps([list(row) for row in found]))
"""


def recorded(variables):
    done = subprocess.run([sys.executable, "-c", READ], env=variables, check=True, capture_output=True, text=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return [tuple(row) for row in json.loads(line.removeprefix("RESULT"))]


def test_guesses_at_once_in_several_processes_get_ten_tries_and_a_restart_forgets_nothing(shared, tmp_path):
    assert not any(guess(shared, tmp_path, [f"wrong horse {number}" for number in range(16)]))
    found = recorded(shared)
    tried = found.count(("sign_in", "failed"))
    assert tried <= 10
    assert tried + found.count(("sign_in", "denied")) == 16
    # New processes: what is left of the ten tries, and then the right password.
    for _ in range(10 - tried):
        guess(shared, tmp_path, ["wrong horse once more"])
    assert guess(shared, tmp_path, [PASSWORD]) == [False]
    found = recorded(shared)
    assert found.count(("sign_in", "failed")) == 10
    assert ("sign_in.lock", "done") in found
