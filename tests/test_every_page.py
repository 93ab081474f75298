"""Every page there is, as axe-core, the console and a phone see it. An address of no row here fails."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.urls import URLPattern, get_resolver, reverse

from orders import services as orders
from orders.feed import sending
from tests.browsers import DESKTOP, PHONE, check_page, shoot
from tests.factories import make_authenticator, make_card, make_order, make_saved_card, make_user, next_year, token_of
from tests.orders.feed.making import make_endpoint
from tests.vault.admin.identity import FRESH
from tests.vault.exporting import ask as ask_for_export
from vault import problems, reveals, services
from vault.models import Incident, Key, Run
from vault.purposes import Purpose

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PASSWORD = "correct horse battery"

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


@pytest.fixture
def scene(settings, canary) -> SimpleNamespace:
    """A customer, somebody of staff with every right, and one of everything that the admin lists."""
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True, "CONFIRM_IDENTITY": FRESH}
    customer = make_user("carla", password=PASSWORD)
    staff = make_user("sue", is_staff=True, is_superuser=True)
    User.user_permissions.through.objects.bulk_create(
        User.user_permissions.through(user=staff, permission=each) for each in Permission.objects.all()
    )
    asker = make_user("ada", "vault.view_card", "vault.detokenize_pan", "vault.request_export", is_staff=True)
    shop = make_user("shop", "orders.view_order")
    make_authenticator(staff)
    token_of(shop)
    saved = make_saved_card(customer, canary("saved card"), expires=next_year())
    make_endpoint(shop, "http://127.0.0.1:9/consumer")
    order = make_order(customer, saved.card)
    make_order(customer, make_card(canary("another card")), name="Filter", status="cancelled")
    orders.pay_again(order, card=saved)
    sending.run()
    reveals.request(
        services.describe(saved.token), actor=asker, purpose=Purpose("refund", "charged twice"), ticket="T-1"
    )
    ask_for_export(asker)
    gone = make_card(canary("erased card"))
    services.erase(gone.token, actor=make_user("eve", "vault.erase_card"), reason="Asked for it")
    run = Run.objects.create(operation="scan", total_segments=1, counts={"found": 1})
    Incident.objects.create(source="orders.Order.description", run=run)
    Key.objects.create(purpose="card", number=7, arn="arn:aws:kms:eu-central-1:000000000000:key/7", state="active")
    LogEntry.objects.log_actions(staff.pk, [order], CHANGE, [{"changed": {"fields": ["Name"]}}], single_object=True)
    call_command("vault_audit", "seal", verbosity=0)
    return SimpleNamespace(
        customer=customer, staff=staff, saved=saved, order=order, group=Group.objects.create(name="Night shift")
    )


def names() -> Iterator[str]:
    """The name of every address of the URLconf."""

    def walk(patterns, namespace=""):
        for each in patterns:
            if isinstance(each, URLPattern):
                yield f"{namespace}{each.name}"
            else:
                yield from walk(each.url_patterns, f"{each.namespace}:" if each.namespace else namespace)

    return (name for name in walk(get_resolver().url_patterns) if not name.endswith("None"))


def models() -> dict[str, type]:
    return {f"{model._meta.app_label}_{model._meta.model_name}": model for model in admin.site._registry}


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
