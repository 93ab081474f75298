"""Somebody goes to an address; what they were answered, and what they left."""

import hashlib
import json
import re
from collections.abc import Iterator
from http import HTTPStatus

from django.contrib.admin.utils import quote
from django.db import connections, transaction
from django.test import Client
from django.urls import URLPattern, get_resolver

from orders.models import Order
from tests.scenes import models
from vault.models import Card, ErasureCertificate, ExportRequest, Incident, RevealRequest

ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# What remembers that somebody came: the audit log, sessions, limits, and when a token was used.
TRACES = re.compile("vault_auditevent|vault_seal|django_session|usersessions|cache|allowance|use$|idempotent|sqlite")
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\^?\(\?P<(\w+)>[^)]*\)[^<]*?(?=$)")
_SIGN_IN = re.compile("/accounts/login/|/admin/login/")


def routes() -> dict[str, str]:
    """The route of every address, by its name, or by itself if it has none."""

    def walk(patterns, route="", namespace="") -> Iterator[tuple[str, str]]:
        for each in patterns:
            here = route + str(each.pattern)
            if isinstance(each, URLPattern):
                yield (f"{namespace}{each.name}" if each.name else here), here
            else:
                yield from walk(each.url_patterns, here, f"{each.namespace}:" if each.namespace else namespace)

    found: dict[str, str] = {}
    for name, route in walk(get_resolver().url_patterns):
        # Two have one name where ours stands in front of allauth's; the first is the one that answers.
        found.setdefault(name, route)
    return found


def address_of(route: str, scene) -> str:
    """Where a route leads in a scene."""
    named = {
        "public_id": lambda: scene.order.public_id,
        "token": lambda: scene.saved.token.text,
        "code": lambda: "not_found",
        "number": lambda: ErasureCertificate.objects.first().number,
        "id": lambda: scene.customer.pk,
        "content_type_id": lambda: 1,
        "url": lambda: "nowhere",
        "app_label": lambda: "vault/",
        "object_id": lambda: _row_of(route),
        "pk": lambda: _row_of(route),
    }
    return "/" + _PARAMETER.sub(lambda found: str(named[found[1] or found[2]]()), route)


def _row_of(route):
    own = {"revealrequest": RevealRequest, "exportrequest": ExportRequest, "incident": Incident}
    app, name = [*route.split("/"), "", ""][1:3]
    model = models().get(f"{app}_{name}") or own.get(name)
    return quote(model._default_manager.first().pk) if model else 1


class Visitor:
    """Somebody with a browser or with a token of the API, as they were when they were made."""

    def __init__(self, user=None, *, token="") -> None:
        client = Client()
        if user:
            client.force_login(user)
        self._cookies = {name: morsel.value for name, morsel in client.cookies.items()}
        self._headers = {"Authorization": f"Token {token}"} if token else {}

    def go(self, method: str, address: str, body=None, *, is_kept=False):
        """The answer. Whatever it changed in SQL is taken back, unless it is to be kept."""
        client = Client(raise_request_exception=False)
        client.cookies.load(self._cookies)
        # Not `atomic`: what has to be outermost in the product would find itself within it.
        before = None if is_kept else transaction.savepoint()
        answer = client.generic(method, address, *_sent(method, address, body or {}), headers=self._headers)
        if before is not None:
            transaction.savepoint_rollback(before)
        return answer


def _sent(method, address, body):
    if method in {"GET", "DELETE"} and not body:
        return ()
    if address.startswith("/api/"):
        return json.dumps(body), "application/json"
    return "&".join(f"{name}={value}" for name, value in body.items()), "application/x-www-form-urlencoded"


def is_refused(answer) -> bool:
    """Whether somebody was turned away: sent to sign in, told no, or told that there is nothing."""
    if answer.status_code == HTTPStatus.FOUND:
        return bool(_SIGN_IN.match(answer["Location"])) or answer["Location"].startswith("/accounts/password/reset/")
    return answer.status_code in {401, 403, 404, 405}


def secrets_of(scene) -> list[str]:
    """What a refusal must not name: tokens, numbers of orders and certificates, names, last four digits."""
    orders, cards = Order.objects.all(), Card.objects.all()
    certificates = ErasureCertificate.objects.values_list("number", flat=True)
    texts = {scene.customer.email, "Milk jug", "charged twice", *certificates}
    for order in orders:
        texts |= {order.public_id, order.card.token.text}
    for card in cards:
        texts |= {card.token, card.last4}
    return sorted(texts)


def named_in(answer, address, secrets) -> list[str]:
    """Those of the secrets that an answer has, but for what stands in its own address."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    text = body.decode(errors="replace")
    return [each for each in secrets if each not in address and re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text)]


def tables() -> dict[str, str]:
    """A digest of every table but those that remember who came."""
    found = {}
    for alias in connections:
        with connections[alias].cursor() as cursor:
            for table in connections[alias].introspection.table_names(cursor):
                if not TRACES.search(table):
                    cursor.execute(f"SELECT * FROM {connections[alias].ops.quote_name(table)}")  # noqa: S608 - our own schema
                    found[f"{alias}.{table}"] = hashlib.sha256(
                        repr(sorted(map(repr, cursor.fetchall()))).encode()
                    ).hexdigest()
    return found
