"""What tests need to exist before they begin."""

import time
from datetime import date, timedelta
from decimal import Decimal

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import Permission, User
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from orders.models import Order, SavedCard
from vault import services
from vault.expiry import last_day_of_month
from vault.pan import PAN

CONTENT = {"name": "Milk jug", "description": "Half a liter", "amount": Decimal("24.90"), "currency": "EUR"}


def make_user(name="ada", *rights, is_verified=True, **fields) -> User:
    """A user with the given rights, such as `orders.view_order`, who had them before: nothing is recorded of that."""
    is_superuser = fields.pop("is_superuser", False)
    user = User.objects.create_user(name, f"{name}@example.com", **fields)
    if is_verified:
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    for right in rights:
        app_label, codename = right.split(".")
        permission = Permission.objects.get(content_type__app_label=app_label, codename=codename)
        User.user_permissions.through.objects.create(user=user, permission=permission)
    if is_superuser:
        User.objects.filter(pk=user.pk).update(is_superuser=True)
        user.is_superuser = True
    return user


def make_card(digits):
    """A card in the vault."""
    return services.tokenize(PAN(digits)).card


def make_saved_card(customer, digits, expires=None) -> SavedCard:
    return SavedCard.objects.create(customer=customer, card=make_card(digits), expires=expires)


def make_order(customer, card, **fields) -> Order:
    return Order.objects.create(customer=customer, card=card, **(CONTENT | fields))


def make_orders(count, customer, card) -> list[Order]:
    """Orders of one customer a minute apart, the newest first."""
    now = timezone.now()
    return Order.objects.bulk_create(
        Order(customer=customer, card=card, placed_at=now - timedelta(minutes=number), **CONTENT)
        for number in range(count)
    )


def make_authenticator(user) -> str:
    """The secret of an authenticator app that the user has from now on; see `code_of`."""
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(user, secret)
    return secret


def code_of(secret, *, wrong=False) -> str:
    """What an authenticator app with this secret shows now, and for a second more at least."""
    if time.time() % 30 > 29:
        time.sleep(1.1)
    value = totp.hotp_value(secret, int(time.time()) // 30)
    return totp.format_hotp_value((value + wrong) % 10**6)


def token_of(user) -> str:
    """A token of the API, as a service account has it."""
    return AuthToken.objects.create(user)[1]


def client_of(user) -> APIClient:
    """A client of the API, signed in with a token as a service account is."""
    client = APIClient()
    client.default_format = "json"
    client.credentials(HTTP_AUTHORIZATION=f"Token {token_of(user)}")
    return client


def next_year() -> date:
    """The expiry of a card that is good for another year."""
    today = timezone.localdate()
    return last_day_of_month(today.replace(year=today.year + 1, day=1))


def last_month() -> date:
    """The expiry of a card that is just over."""
    return timezone.localdate().replace(day=1) - timedelta(days=1)
