"""People who sign in, and what the audit log says of it."""

import re

from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from tests.factories import code_of, make_user
from vault.models import AuditEvent

PASSWORD = "correct horse battery"


def make_staff(name="sam", *rights, **fields) -> User:
    return make_user(name, *rights, password=PASSWORD, is_staff=True, **fields)


def post_password(client: Client, user: User, password: str = PASSWORD, **more):
    return client.post("/accounts/login/", {"login": user.email, "password": password} | more)


def sign_in(user: User, secret: str = "", **defaults) -> Client:
    """A browser in which the user signed in: with a code, if there is a secret to compute it from."""
    client = Client(**defaults)
    post_password(client, user)
    if secret:
        client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert client.session["_auth_user_id"] == str(user.pk)
    return client


def sent_code() -> str:
    """The code in the last mail."""
    (code,) = re.findall(r"^[A-Z]{4}-[A-Z]{4}$", mail.outbox[-1].body, re.MULTILINE)
    return code


def outcomes(operation: str, **filters) -> list[str]:
    """What became of the operation, each time, the oldest first."""
    found = AuditEvent.objects.filter(operation=operation, **filters).order_by("pk")
    return list(found.values_list("outcome", flat=True))


def events(operation: str, **filters) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(operation=operation, **filters).order_by("pk"))
