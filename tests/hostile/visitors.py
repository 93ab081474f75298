"""Whoever can be shown a form, and what they are shown: between them they find every form that there is."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from billing.models import SavedFilter
from tests.billing.keys import Key as Passkey
from tests.billing.people import PASSWORD, post_password, sent_code, sign_in
from tests.factories import code_of, make_authenticator, make_card, make_user
from tests.hostile.forms import Form, forms_of
from tests.test_every_page import addresses
from vault import erasure, policy, reveals, services
from vault.audit import record
from vault.models import Card, ExportRequest, Incident, Key, RevealRequest
from vault.purposes import Purpose

Visitor = tuple[Client, list[str]]


def prepare(scene: SimpleNamespace, canary: Callable[[str], str]) -> SimpleNamespace:
    """What else a form can be about: cards on hold, requests and incidents in every state, a filter, a locked reader."""
    # The scene lists a key of AWS that there is not, and the vault would look for it.
    Key.objects.update(state=Key.State.RETIRED)
    scene.customer.set_password(PASSWORD)
    scene.customer.save()
    held = make_card(canary("card on hold"))
    erasure.hold(held.token, actor=scene.staff, reason="A dispute")
    asker = make_user("reader", "vault.view_card", "vault.detokenize_pan", is_staff=True)
    active = services.describe(scene.saved.token)
    broken = reveals.break_glass(active, actor=asker, purpose=Purpose("refund", "it burns"), ticket="T-2")
    RevealRequest.objects.filter(pk=broken.pk).update(state="shown")
    approved = reveals.request(active, actor=scene.staff, purpose=Purpose("refund", "asked"), ticket="T-3")
    RevealRequest.objects.filter(pk=approved.pk).update(state="approved")
    run = Incident.objects.get().run
    for state in (Incident.State.CONFIRMED, Incident.State.FALSE_ALARM):
        Incident.objects.create(source=f"orders.Order.{state}", run=run, state=state)
    make_user("leaver")
    record(policy.LOCK, subject=str(asker.pk))
    mine = {"owner": scene.staff, "model": "orders.order", "query": "status__exact=placed"}
    scene.filter = SavedFilter.objects.create(name="Placed", **mine)
    return scene


def nobody(stage) -> Visitor:
    return Client(), list(addresses(stage, "nobody"))


def newcomer(stage) -> Visitor:
    """Has given an address, and is to confirm it."""
    client = Client()
    client.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD})
    return client, [reverse("account_email_verification_sent")]


def forgetful(stage) -> Visitor:
    """Has asked for another password, and is to show the code."""
    client = Client()
    client.post("/accounts/password/reset/", {"email": stage.customer.email})
    return client, [reverse("account_confirm_password_reset_code")]


def recovering(stage) -> Visitor:
    """Has shown the code, and is to choose a password."""
    client, (page,) = forgetful(stage)
    client.post(page, {"code": sent_code()})
    return client, [reverse("account_complete_password_reset")]


def half_way(stage) -> Visitor:
    """Has given the password, and is to show the second factor."""
    user = make_user("hal", password=PASSWORD)
    make_authenticator(user)
    client = Client()
    post_password(client, user)
    return client, [reverse("mfa_authenticate")]


def customer(stage) -> Visitor:
    client = sign_in(stage.customer)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client, list(addresses(stage, "customer"))


def secured(stage) -> Visitor:
    """A customer with an app, a key and recovery codes."""
    user = make_user("sid", password=PASSWORD)
    secret, key = make_authenticator(user), Passkey(user).register()
    RecoveryCodes.activate(user)
    client = sign_in(user, secret)
    # The code of this half minute has been used.
    caches["default"].clear()
    client.post("/accounts/2fa/reauthenticate/", {"code": code_of(secret)})
    names = [
        "account_reauthenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn", "mfa_index",
        "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_list_webauthn",
    ]  # fmt: skip
    own = [reverse(name, args=[key.pk]) for name in ("mfa_edit_webauthn", "mfa_remove_webauthn")]
    return client, [*map(reverse, names), *own]


def staff(stage) -> Visitor:
    client = Client()
    client.force_login(stage.staff, backend="django.contrib.auth.backends.ModelBackend")
    listed = {"vault_card": Card, "vault_incident": Incident, "vault_revealrequest": RevealRequest}
    pages = [
        reverse(f"admin:{name}_change", args=[quote(row.pk)])
        for name, model in (listed | {"vault_exportrequest": ExportRequest}).items()
        for row in model.objects.all()
    ]
    pages += [
        reverse(
            f"admin:{model._meta.label_lower.replace('.', '_')}_delete",
            args=[quote(model.objects.order_by("-pk")[0].pk)],
        )
        for model in (User, EmailAddress, Authenticator, AuthToken)
    ]
    filtered = f"{reverse('admin:orders_order_changelist')}?status__exact=placed"
    return client, [*addresses(stage, "staff"), *pages, filtered]


VISITORS: dict[str, Callable[[SimpleNamespace], Visitor]] = {
    each.__name__: each for each in (nobody, newcomer, forgetful, recovering, half_way, customer, secured, staff)
}


def forms_shown(visitor: Visitor) -> Iterator[Form]:
    """Every form of every page of a visitor, once."""
    client, pages = visitor
    seen = set()
    for page in pages:
        answer = client.get(page)
        if answer.status_code != 200 or "html" not in answer["Content-Type"]:
            continue
        for form in forms_of(page, answer.text):
            if form.key not in seen:
                seen.add(form.key)
                yield form
