"""A card number in every field of every form that anybody is shown (trial B4).

Nobody lists the fields: they are read from the pages. That no digit of it gets into a page, SQL, a table or a log is
what the leak scanner looks for after each test.
"""

import re
import uuid

import pytest
from django.contrib.admin.utils import quote
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from orders.models import Order
from tests.factories import make_card, make_order, make_user
from tests.hostile.forms import BUTTONS
from tests.hostile.visitors import VISITORS, forms_shown
from tests.test_every_page import models, names

pytestmark = [pytest.mark.django_db, pytest.mark.either]
_WRITTEN = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) ["`]?(\w+)')
# What every request may write: that it was made, by whom, and how many of them.
_OF_REQUESTS = {
    "vault_auditevent", "vault_audithead", "django_session", "usersessions_usersession", "cache", "billing_tokenuse",
}  # fmt: skip
# Of these it is asked whether they were sent, and never what stands in them.
_ON_OR_OFF = BUTTONS | {"checkbox"}
_OF_THE_ADMIN = frozenset({"post", "select_across", "index"})

# Where a POST leads to that no page has a form for, and why.
NO_FORM = {
    "api_orders: api_vault:": "for programs: tests/contract/test_wrong_places.py",
    "healthz readyz health_retention schema api_docs problem problems": "answer GET alone",
    "orders:overview orders:list orders:detail orders:receipt orders:cards": "answer GET alone",
    "account_start account_inactive account_password_reset_completed": "answer GET alone",
    "mfa_index mfa_list_webauthn mfa_view_recovery_codes mfa_download_recovery_codes": "answer GET alone",
    "account_set_password account_confirm_login_code": "not switched on",
    "account_reauthenticate": "leads somebody with a second factor on",
    "admin:login admin:password_change admin:password_change_done": "lead to the pages of the accounts",
    "admin:index admin:app_list admin:jsi18n admin:autocomplete admin:view_on_site": "take nothing in",
    "admin:filter_open admin:knox_authtoken_accounts admin:vault_revealrequest_locked": "answer GET alone",
    "admin:orders_order_csv admin:vault_card_csv": "files: answer GET alone",
    "admin:orders_order_cancel": "test_a_card_number_among_the_chosen_rows_is_refused",
    "admin:vault_auditevent_ admin:vault_key_ admin:vault_run_ admin:vault_erasurecertificate_": "changed by nobody",
}


def attempt(client, form, values):
    """The answer to a form, and which tables were written to. Whatever it did is undone."""
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        answer = client.post(form.action, values) if form.method == "post" else client.get(form.action, values)
        transaction.set_rollback(True)
    written = {found[1] for each in queries if (found := _WRITTEN.match(each["sql"]))}
    return answer, written - _OF_REQUESTS


def filled(form, name, text):
    """What a browser sends, with `text` in one field."""
    values = {key: value for key, value in form.values.items() if key != "csrfmiddlewaretoken"}
    return values | {name: SimpleUploadedFile(f"{text}.pem", b"x") if form.kinds[name] == "file" else [text]}


@pytest.mark.parametrize("who", VISITORS)
def test_a_card_number_in_any_field_is_refused(stage, canary, who):
    visitor = VISITORS[who](stage)
    client = visitor[0]
    client.raise_request_exception = False
    digits, wrong = canary("any field"), []
    for form in forms_shown(visitor):
        for name, kind in form.kinds.items():
            if name == "csrfmiddlewaretoken":
                continue
            answer, written = attempt(client, form, filled(form, name, digits))
            is_read = kind not in _ON_OR_OFF and name not in _OF_THE_ADMIN
            if answer.status_code >= 500 or (written and is_read) or digits in answer.text + str(answer.headers):
                wrong.append(f"{form.method} {form.action} {name}: {answer.status_code}, wrote {written}")
    assert not wrong, "\n".join(wrong)


def test_there_is_a_form_for_every_address_that_takes_one(stage):
    sent = {
        resolve(re.split("[?#]", form.action)[0]).view_name
        for visit in VISITORS.values()
        for form in forms_shown(visit(stage))
    }
    starts = tuple(name for key in NO_FORM for name in key.split())
    missing = [
        name
        for name in names()
        if name not in sent
        and not any(name == start or (start[-1] in "_:" and name.startswith(start)) for start in starts)
    ]
    client, _ = VISITORS["staff"](stage)
    assert not [name for name in missing if not takes_nothing(client, name)]


def takes_nothing(client, name):
    """True if a view of the admin is for reading, or refuses even those with every right."""
    if name.endswith("_history"):
        return True
    model = models().get(name.removeprefix("admin:").rpartition("_")[0])
    if model is None:
        return False
    arguments = [] if name.endswith("_add") else [quote(model._default_manager.first().pk)]
    return client.post(reverse(name, args=arguments)).status_code in (403, 404, 405)


@pytest.mark.parametrize("name", ["order", "submission", "filters"])
def test_a_card_number_among_the_chosen_rows_is_refused(client, canary, name):
    digits = canary("row")
    order = make_order(make_user(), make_card(canary("order")))
    client.force_login(make_user("eva", "orders.view_order", "orders.change_order", is_staff=True))
    sent = {"order": order.pk, "submission": str(uuid.uuid4()), "filters": ""} | {name: digits}
    answer = client.post("/admin/orders/order/cancel/", sent)
    assert digits not in answer.text + answer["Location"]
    assert Order.objects.get(pk=order.pk).status == ("placed" if name == "order" else "cancelled")
