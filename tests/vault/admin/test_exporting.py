"""Asking for an export and deciding it in the admin, from all sides."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.factories import make_user
from tests.vault.admin.identity import SIGN_IN, STALE
from tests.vault.admin.visitors import configure, done, sign, signed_in, strangers
from tests.vault.exporting import KIND, ada, approved, asked, bob, cleo, configured, digits, kept
from tests.vault.recipients import private_pem, public_pem, thumbprint
from vault.models import AuditEvent, ExportApproval, ExportRequest

__all__ = ["ada", "approved", "asked", "bob", "cleo", "configured", "digits", "kept"]
pytestmark = pytest.mark.django_db
QUEUE = "/admin/vault/exportrequest/"
FORM = {"recipient": "B", "purpose": "settlement", "reason": "change", "ticket": "OPS-7", "selection": "all"}


def act_on(asked, act):
    return f"{QUEUE}{asked.pk}/{act}/"


def sent(**change):
    return FORM | {"key": public_pem(KIND)} | change


def test_a_request_is_made_and_waits(kept, ada):
    page = signed_in(ada).post(f"{QUEUE}ask/", sent(), follow=True).text
    assert "waits for two people" in page
    assert thumbprint(KIND) in page
    assert "EC P-256" in page
    assert ExportRequest.objects.get().counts == {"cards": 5}


def test_a_key_may_come_as_a_file_and_cards_as_tokens(kept, ada):
    file = SimpleUploadedFile("key.pem", public_pem("rsa-3072").encode())
    chosen = {"selection": "tokens", "tokens": "\n".join(sorted(kept)[:2])}
    page = signed_in(ada).post(f"{QUEUE}ask/", sent(key="", key_file=file, **chosen), follow=True).text
    assert "RSA 3072 bits" in page
    assert ExportRequest.objects.get().chosen.count() == 2


WRONG = {
    "private key": ({"key": lambda: private_pem(KIND)}, "private or secret key"),
    "short key": ({"key": lambda: public_pem("rsa-2048")}, "at least 3072"),
    "no key": ({"key": lambda: ""}, "Paste the key or choose its file."),
    "no token": ({"selection": lambda: "tokens", "tokens": lambda: "hello"}, "Line 1 is no token."),
    "no tokens": ({"selection": lambda: "tokens"}, "Paste tokens for chosen cards"),
}


@pytest.mark.parametrize(("change", "sentence"), WRONG.values(), ids=WRONG)
def test_a_form_says_what_is_wrong_and_repeats_no_key(kept, ada, change, sentence):
    values = {name: make() for name, make in change.items()}
    page = signed_in(ada).post(f"{QUEUE}ask/", sent(**values)).text
    assert sentence in page
    assert "BEGIN" not in page
    assert not ExportRequest.objects.exists()


@pytest.mark.parametrize("field", ["recipient", "key", "reason", "ticket", "tokens"])
def test_a_card_number_anywhere_is_refused_and_not_shown_again(kept, ada, canary, field):
    digits = canary("typed")
    page = signed_in(ada).post(f"{QUEUE}ask/", sent(**{field: f"x {digits}"})).text
    assert "Card numbers belong in the card field only." in page
    assert digits not in page
    assert not ExportRequest.objects.exists()


@pytest.mark.parametrize("path", ["", "ask/", "{}/change/", "{}/approve/"])
@strangers
def test_strangers_see_nothing(asked, path, who, status):
    answer = sign(who()).get(QUEUE + path.format(asked.pk))
    assert answer.status_code in {status, 404}
    assert thumbprint(KIND) not in answer.text


@pytest.mark.parametrize("act", ["approve", "refuse"])
@strangers
def test_strangers_decide_nothing(asked, act, who, status):
    answer = sign(who()).post(act_on(asked, act), {"note": "n"})
    assert answer.status_code in {status, 404}
    assert not ExportApproval.objects.exists()
    assert not done("export.approve", "export.refuse")


@strangers
def test_strangers_ask_for_nothing(kept, who, status):
    assert sign(who()).post(f"{QUEUE}ask/", sent()).status_code == status
    assert not ExportRequest.objects.exists()
    assert not done("export.request")


def test_two_people_approve(asked, bob, cleo):
    assert "Another person has to agree" in signed_in(bob).post(act_on(asked, "approve"), {}, follow=True).text
    page = signed_in(cleo).post(act_on(asked, "approve"), {"note": "compared"}, follow=True).text
    assert "The export can be run now." in page
    assert f"vault_export {asked.pk}" in page
    assert ExportRequest.objects.get().state == "approved"


def test_approving_takes_a_fresh_sign_in(asked, bob, settings):
    configure(settings, CONFIRM_IDENTITY=STALE)
    assert signed_in(bob).post(act_on(asked, "approve"), {})["Location"].startswith(SIGN_IN)
    configure(settings, CONFIRM_IDENTITY="")
    assert signed_in(bob).post(act_on(asked, "approve"), {}).status_code == 403
    assert not ExportApproval.objects.exists()


def test_the_requester_is_offered_nothing_and_refused(asked, ada):
    page = signed_in(ada).get(act_on(asked, "change")).text
    assert "Your decision" not in page
    assert signed_in(ada).post(act_on(asked, "approve"), {}).status_code == 403
    assert AuditEvent.objects.filter(operation="export.approve", outcome="denied").exists()


def test_refusing_takes_a_note(asked, bob):
    assert "Say why" in signed_in(bob).post(act_on(asked, "refuse"), {}).text
    signed_in(bob).post(act_on(asked, "refuse"), {"note": "wrong key"})
    assert ExportRequest.objects.get().state == "refused"


def test_a_looker_on_sees_and_decides_nothing(asked):
    client = signed_in(make_user("dan", "vault.view_exportrequest", is_staff=True))
    assert thumbprint(KIND) in client.get(act_on(asked, "change")).text
    assert "Your decision" not in client.get(act_on(asked, "change")).text
    assert client.post(act_on(asked, "approve"), {}).status_code == 403
