"""One of everything that there is a page of, and the addresses of those pages."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.urls import URLPattern, get_resolver

from billing.models import SavedFilter
from orders import services as orders
from orders.feed import sending
from tests.factories import make_authenticator, make_card, make_order, make_saved_card, make_user, next_year, token_of
from tests.orders.feed.making import make_endpoint
from tests.vault.admin.identity import FRESH
from tests.vault.exporting import ask as ask_for_export
from vault import reveals, services
from vault.backend import current_vault
from vault.models import Incident, Key, Run
from vault.purposes import Purpose

PASSWORD = "correct horse battery"


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
    digits = canary("saved card")
    saved = make_saved_card(customer, digits, expires=next_year())
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
    vault = current_vault()
    for purpose, name in (("card", vault.config.CARD_KEY), ("fingerprint", vault.config.FINGERPRINT_KEY)):
        arn = vault.session.kms().describe_key(KeyId=name)["KeyMetadata"]["Arn"]
        Key.objects.create(purpose=purpose, number=1, arn=arn, state="active")
    SavedFilter.objects.create(owner=staff, model="orders.order", name="Late", query="q=late", is_shared=True)
    LogEntry.objects.log_actions(staff.pk, [order], CHANGE, [{"changed": {"fields": ["Name"]}}], single_object=True)
    call_command("vault_audit", "seal", verbosity=0)
    return SimpleNamespace(
        customer=customer,
        staff=staff,
        saved=saved,
        digits=digits,
        order=order,
        group=Group.objects.create(name="Night shift"),
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
