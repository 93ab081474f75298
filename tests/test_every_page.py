"""Every page there is, as axe-core, the console and a phone see it. An address of no row here fails."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.contrib.admin.utils import quote
from django.urls import reverse

from tests.browsers import DESKTOP, PHONE, check_page, shoot
from tests.scenes import models, names, scene
from vault import problems

__all__ = ["scene"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

# By audience and name of the address: where in the scene it leads.
PAGES: dict[str, dict[str, Callable[[SimpleNamespace], str] | None]] = {
    "nobody": {
        "account_login": None,
        "account_signup": None,
        "account_reset_password": None,
        "account_password_reset_completed": None,
        "account_email_verification_sent": None,
        "account_inactive": None,
        "api_docs": None,
        "problems": None,
        "problem": lambda scene: reverse("problem", args=[problems.NOT_FOUND.code]),
        "nowhere": lambda scene: "/nowhere/",
    },
    "customer": {
        "account_start": None,
        "account_logout": None,
        "account_reauthenticate": None,
        "account_email": None,
        "account_change_password": None,
        "mfa_index": None,
        "mfa_activate_totp": None,
        "mfa_list_webauthn": None,
        "mfa_add_webauthn": None,
        "usersessions_list": None,
        "orders:overview": None,
        "orders:list": None,
        "orders:new": None,
        "orders:cards": None,
        "orders:detail": lambda scene: reverse("orders:detail", args=[scene.order.public_id]),
        "orders:receipt": lambda scene: reverse("orders:receipt", args=[scene.order.public_id]),
        "orders:pay_again": lambda scene: reverse("orders:pay_again", args=[scene.order.public_id]),
        "orders:cancel": lambda scene: reverse("orders:cancel", args=[scene.order.public_id]),
        "orders:card": lambda scene: reverse("orders:card", args=[scene.saved.token]),
        "orders:card_remove": lambda scene: reverse("orders:card_remove", args=[scene.saved.token]),
    },
    "staff": {
        "admin:index": None,
        "admin:app_list": lambda scene: reverse("admin:app_list", args=["vault"]),
        "admin:auth_user_password_change": lambda scene: reverse(
            "admin:auth_user_password_change", args=[scene.customer.pk]
        ),
        "admin:auth_group_delete": lambda scene: reverse("admin:auth_group_delete", args=[scene.group.pk]),
        "admin:knox_authtoken_accounts": None,
        "admin:vault_card_search": None,
        "admin:vault_exportrequest_ask": None,
        "admin:vault_revealrequest_locked": None,
        "nowhere": lambda scene: "/admin/nowhere/",
    },
}
# Of every model in the admin these four are looked at, where they are served.
OF_A_MODEL = ("changelist", "change", "add", "history")
NO_PAGES = {
    "healthz readyz health_retention": "for machines",
    "schema": "for machines",
    "api_orders: api_vault:": "for programs",
    "admin:login admin:logout admin:password_change admin:password_change_done": "leads to the pages of the accounts",
    "admin:jsi18n admin:autocomplete": "for scripts",
    "admin:view_on_site": "leads elsewhere",
    "set_language": "answers POST alone",
    "orders:card_default": "answers POST alone",
    "account_set_password": "for accounts without a password: there are none",
    "account_confirm_login_code": "not switched on",
    "account_confirm_password_reset_code account_complete_password_reset": "tests/test_account_browser.py",
    "mfa_login_webauthn": "for scripts",
    "mfa_authenticate mfa_reauthenticate mfa_reauthenticate_webauthn": "tests/test_account_browser.py",
    "mfa_deactivate_totp mfa_view_recovery_codes mfa_generate_recovery_codes": "the same",
    "mfa_remove_webauthn mfa_edit_webauthn": "the same",
    "mfa_download_recovery_codes": "a file",
    "admin:vault_card_reveal admin:vault_card_break_glass": "answer POST alone: tests/test_reveal_browser.py",
    "admin:vault_card_erase admin:vault_card_hold admin:vault_card_release": "answer POST alone: tests/test_erasure_browser.py",
    "admin:orders_order_csv admin:vault_card_csv": "files",
    "admin:orders_order_cancel admin:vault_auditevent_verify": "answer POST alone: tests/test_staff_lists_browser.py",
    "admin:filter_": "lead to a list, or answer POST alone: tests/test_staff_lists_browser.py",
    "admin:vault_revealrequest_show": "a number: tests/test_reveal_browser.py",
    "admin:vault_erasurecertificate_check admin:vault_erasurecertificate_download": "answer POST alone",
    "admin:vault_exportrequest_approve admin:vault_exportrequest_refuse": "answer POST alone",
    "admin:vault_incident_": "answer POST alone",
    "admin:vault_revealrequest_approve admin:vault_revealrequest_refuse": "answer POST alone",
    "admin:vault_revealrequest_review admin:vault_revealrequest_unlock": "answer POST alone",
}


def test_every_address_has_a_row():
    starts = tuple(name for key in NO_PAGES for name in key.split())
    listed = {name for pages in PAGES.values() for name in pages}
    generic = {f"admin:{model}_{act}" for model in models() for act in (*OF_A_MODEL, "delete")}
    unknown = [
        name
        for name in names()
        if name not in listed | generic and not any(name == s or (s[-1] in "_:" and name.startswith(s)) for s in starts)
    ]
    assert unknown == []


def addresses(scene, audience) -> Iterator[str]:
    for name, where in PAGES[audience].items():
        yield where(scene) if where else reverse(name)
    if audience == "staff":
        for name, model in models().items():
            yield reverse(f"admin:{name}_changelist")
            row = model._default_manager.first()
            assert row is not None, f"the scene has no {name}"
            for act in ("change", "history"):
                yield reverse(f"admin:{name}_{act}", args=[quote(row.pk)])
            yield reverse(f"admin:{name}_add")


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("audience", PAGES)
def test_nothing_is_wrong_with_a_page(scene, visit, complaints, audience, width):
    who = None if audience == "nobody" else getattr(scene, audience)
    page = visit(who, width=width)
    failures = []
    for address in addresses(scene, audience):
        page.goto(address)
        try:
            check_page(page)
        except AssertionError as failure:
            failures.append(str(failure))
        shoot(page, f"{width}{address.replace('/', '_')}")
    # The browser itself reports what was not found or not allowed, which is an answer like others here.
    said = [each for each in complaints if "Failed to load resource" not in each]
    if failures or said:
        pytest.fail("\n\n".join(failures + said), pytrace=False)
