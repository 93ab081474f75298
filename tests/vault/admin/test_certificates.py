"""Certificates of erasure in the admin: who sees them, what proves them, and what is taken along."""

import json

import pytest
from django.core.management import call_command
from django.test import Client

from tests.factories import make_card, make_user
from tests.vault.admin.visitors import change_page, sign, signed_in
from vault import services
from vault.models import AuditEvent, ErasureCertificate

pytestmark = pytest.mark.django_db
LIST = "/admin/vault/erasurecertificate/"


@pytest.fixture
def certificate(kept):
    return services.erase(kept.token, actor=make_user("sue", "vault.erase_card"), reason="Asked for it")


@pytest.fixture
def auditor():
    return signed_in(make_user("al", "vault.view_erasurecertificate", is_staff=True))


def detail(certificate):
    return f"{LIST}{certificate.number.replace('_', '_5F')}/change/"


def act_on(certificate, act):
    return f"{LIST}{certificate.number}/{act}/"


def checks(outcome):
    return AuditEvent.objects.filter(operation="certificate.verify", outcome=outcome).count()


def test_the_list_shows_and_finds_them(auditor, certificate, kept, canary):
    other = services.erase(make_card(canary("other")).token, actor=make_user("o", "vault.erase_card"), reason="x")
    assert {certificate.number, other.number} <= set(auditor.get(LIST).text.replace("<", ">").split(">"))
    for query in (certificate.number, kept.token, kept.last4):
        page = auditor.get(LIST, {"q": query}).text
        assert certificate.number in page
        assert other.number not in page


def test_the_list_costs_the_same_for_20_as_for_2_and_asks_nothing_of_aws(
    auditor, canary, wire, django_assert_max_num_queries
):
    sue, counts = make_user("sue", "vault.erase_card"), []
    auditor.get(LIST)
    for count in (2, 18):
        for _ in range(count):
            services.erase(make_card(canary("card")).token, actor=sue, reason="x")
        wire.calls.clear()
        with django_assert_max_num_queries(20) as queries:
            assert auditor.get(LIST).status_code == 200
        counts.append(len(queries))
        assert not wire.calls
    assert counts[0] == counts[1]


def test_the_page_says_what_who_and_why_and_asks_nothing_of_aws(auditor, certificate, kept, wire):
    wire.calls.clear()
    page = auditor.get(detail(certificate)).text
    for text in (str(kept), kept.token, "sue", "Asked for it", "request", certificate.signature):
        assert text in page
    assert change_page(kept) in page
    assert not wire.calls


def test_the_signature_is_checked_and_that_is_recorded(auditor, certificate, wire):
    answer = auditor.post(act_on(certificate, "check"))
    assert (answer.status_code, checks("done")) == (200, 1)
    assert "The signature is valid" in answer.text
    assert wire.calls["VerifyMac"] == 1


@pytest.mark.parametrize("column", ["content", "signature", "number"])
def test_a_certificate_that_was_changed_is_said_to_be_and_raises_an_alarm(auditor, certificate, column):
    changed = {
        "content": certificate.content.replace("sue", "bob"),
        "signature": "AAAA",
        "number": "era_" + "a" * 32,
    }
    ErasureCertificate.objects.update(**{column: changed[column]})
    answer = auditor.post(act_on(ErasureCertificate.objects.get(), "check"))
    assert answer.status_code == 200
    assert "This certificate is not what was signed." in answer.text
    assert "The signature is valid" not in answer.text
    assert AuditEvent.objects.filter(operation="certificate.forged", is_alarm=True).count() == 1


def test_a_text_that_is_no_json_is_shown_all_the_same(auditor, certificate):
    ErasureCertificate.objects.update(content="<script>x</script>")
    page = auditor.get(detail(certificate))
    assert page.status_code == 200
    assert "<script>x" not in page.text


def test_a_vault_that_does_not_answer_is_said(auditor, certificate, wire):
    wire.fail("VerifyMac", "ThrottlingException")
    answer = auditor.post(act_on(certificate, "check"))
    assert answer.status_code == 503
    assert "The signature is valid" not in answer.text
    assert checks("failed") == 1


def test_the_download_is_what_the_command_takes(auditor, certificate, tmp_path, capsys):
    answer = auditor.get(act_on(certificate, "download"))
    assert answer["Content-Disposition"] == f'attachment; filename="{certificate.number}.json"'
    assert json.loads(answer.content)["content"] == certificate.content
    (tmp_path / "it.json").write_bytes(answer.content)
    call_command("vault_certificate", "verify", str(tmp_path / "it.json"))
    assert "The certificate is valid." in capsys.readouterr().out


VISITORS = {
    "anonymous": (lambda: None, 302),
    "customer with the right": (lambda: make_user("carl", "vault.view_erasurecertificate"), 302),
    "staff": (lambda: make_user("carl", is_staff=True), 403),
    "staff with other rights": (
        lambda: make_user("carl", "vault.view_card", "vault.erase_card", "vault.view_auditevent", is_staff=True),
        403,
    ),
    "superuser": (lambda: make_user("carl", is_staff=True, is_superuser=True), 403),
}


@pytest.mark.parametrize(("who", "status"), VISITORS.values(), ids=VISITORS)
def test_they_take_the_right(certificate, wire, who, status):
    client = sign(who())
    wire.calls.clear()
    answers = [
        client.get(LIST),
        client.get(detail(certificate)),
        client.get(act_on(certificate, "download")),
        client.post(act_on(certificate, "check")),
    ]
    assert {answer.status_code for answer in answers} == {status}
    assert not any(certificate.signature in answer.text for answer in answers)
    assert not wire.calls
    assert checks("done") == 0


def test_checking_takes_a_post_and_the_token_of_the_form(auditor, certificate):
    assert auditor.get(act_on(certificate, "check")).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("eve", "vault.view_erasurecertificate", is_staff=True))
    assert strict.post(act_on(certificate, "check")).status_code == 403
    assert checks("done") == 0


@pytest.mark.parametrize("act", ["add/", "{}/delete/"])
def test_nothing_is_added_or_deleted(admin_client, auditor, certificate, act):
    path = LIST + act.format(certificate.number.replace("_", "_5F"))
    for client in (admin_client, auditor):
        assert client.get(path).status_code == client.post(path, {"post": "yes"}).status_code == 403
    assert auditor.post(detail(certificate), {"content": "x"}).status_code == 405
    assert ErasureCertificate.objects.get() == certificate


@pytest.mark.parametrize("address", ["era_none/change/", "era_none/download/"])
def test_a_number_of_no_certificate_is_not_found(auditor, certificate, address):
    assert auditor.get(LIST + address).status_code == 404
    assert auditor.post(f"{LIST}era_none/check/").status_code == 404
