"""Something to look at on a laptop. Runs again over the same data and leaves it as it was."""

import os
import shlex
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from orders import services
from orders.models import Order
from vault.pan import PAN
from vault.stdout import taken

STAFF_GROUPS: Final = ("Support", "Fraud", "Auditor")
# With these the guide in docs/api.md can be followed to its end.
SHOP_RIGHTS: Final = (
    "vault.tokenize_pan",
    "vault.view_card",
    "orders.view_order",
    "orders.add_order",
    "orders.change_order",
)

# The namespace of their submissions: an order that an earlier run placed is found instead of placed again.
_SUBMISSIONS: Final = uuid.UUID("5f0c6d0e-8a0b-4d53-9a4e-3f6b2d1c7a90")


@dataclass(frozen=True, slots=True)
class _Sale:
    name: str
    description: str
    amount: Decimal
    currency: str
    digits: str
    save_card: bool = False


# Numbers that the card schemes publish for tests. They are computed because a card number in a source file, even this
# kind, would make the search for real ones useless.
_SALES: Final = (
    _Sale("Espresso machine", "Two groups, 230 V", Decimal("1849.00"), "EUR", "4" + "1" * 15, save_card=True),
    _Sale("Coffee beans", "12 bags of 1 kg", Decimal("238.80"), "EUR", "4" + "1" * 15),
    _Sale("Grinder", "Flat burrs, 64 mm", Decimal("420.00"), "EUR", "5" * 12 + "4" * 4, save_card=True),
    _Sale("Water filter", "A year of cartridges", Decimal("96.50"), "GBP", "37" + "82" * 2 + "2463" + "10005"),
    _Sale("Cups", "Set of 24", Decimal("74.40"), "USD", "6011" + "1" * 11 + "7"),
)
# The same things, sold before: how many days ago each. Without them the charts of the console have one bar.
_BEFORE: Final = (1, 1, 2, 4, 4, 4, 5, 7, 8, 8, 9, 11, 12, 12, 14, 15, 15, 15, 18, 19, 21, 22, 22, 25, 27)


class Command(BaseCommand):
    help = (
        "Make a demo customer with orders, a staff user and a service account. Works with the embedded vault, or where "
        "something else stands in for AWS."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="http://localhost:8000", help="where the server will answer")
        parser.add_argument("--data-access-url", default="", help="where admin and API will, if that is another one")
        parser.add_argument("--token-command", default="", help="what prints a token of the API there")

    def handle(self, *args: Any, **options: Any) -> None:
        with taken():
            self._make(options)

    def _make(self, options: dict[str, Any]) -> None:
        # Known users with known rights must not exist where real cards are.
        is_aws = settings.VAULT["BACKEND"] != "embedded" and not settings.VAULT.get("ENDPOINT_URL")
        if is_aws or not settings.VAULT.get("EMBEDDED_ALLOWED"):
            raise CommandError("Demo data is for the embedded vault alone.")
        with transaction.atomic():
            customer = _person("customer", "customer@example.com")
            staff = _person("staff", "staff@example.com", is_staff=True)
            staff.groups.set(Group.objects.filter(name__in=STAFF_GROUPS))
            # Tokens of the API are nobody's of these groups, and there is nobody else here to look at them.
            staff.user_permissions.set(_permissions(["knox.view_authtoken"]))
            shop, _ = User.objects.get_or_create(username="shop-api")
            shop.set_unusable_password()
            shop.save(update_fields=["password"])
            shop.user_permissions.set(_permissions(SHOP_RIGHTS))
        for number, days in reversed(list(enumerate(_BEFORE))):
            _place_before(_SALES[number % len(_SALES)], customer, number=number, days=days)
        for sale in _SALES:
            _place(sale, customer, name=sale.name)
        web = options["url"].rstrip("/")
        self._show(web, options["data_access_url"].rstrip("/") or web, options["token_command"], customer, staff)

    def _show(self, web: str, data_access: str, token_command: str, customer: User, staff: User) -> None:
        pages = {
            "Orders": (web, "orders:overview"),
            "Admin": (data_access, "admin:index"),
            "API": (data_access, "api_docs"),
        }
        self.stdout.write("")
        for label, (url, name) in pages.items():
            self.stdout.write(f"  {label:<12} {url}{reverse(name)}")
        self.stdout.write("")
        for label, user in (("Customer", customer), ("Staff", staff)):
            self.stdout.write(f"  {label:<12} {user.email}  {_password(user.email)}")
        self.stdout.write("")
        self.stdout.write("  For the API, in a second terminal:")
        self.stdout.write(f"  export TOKEN=$({token_command or f'{_data_dir()}make -s token'})")
        self.stdout.write(f"""  curl -H "Authorization: Token $TOKEN" {data_access}{reverse("api_orders:orders")}""")
        self.stdout.write("")


def _data_dir() -> str:
    """What a second terminal has to be told, if the data is not where it is by itself."""
    here = settings.BASE_DIR / "data"
    return "" if here == settings.DATA_DIR else f"DATA_DIR={shlex.quote(str(settings.DATA_DIR))} "


def _person(username: str, email: str, *, is_staff: bool = False) -> User:
    user, _ = User.objects.update_or_create(
        username=username, defaults={"email": email, "is_staff": is_staff, "is_superuser": False, "is_active": True}
    )
    # Setting the same password again would sign everybody out.
    if not user.check_password(_password(email)):
        user.set_password(_password(email))
        user.save(update_fields=["password"])
    EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
    return user


def _password(email: str) -> str:
    """`DEMO_PASSWORD`, or one that follows from the secret key: the same at each run, and written nowhere."""
    if chosen := os.environ.get("DEMO_PASSWORD"):
        return chosen
    digest = salted_hmac("orders.demo.password", email, algorithm="sha256").digest()
    return urlsafe_b64encode(digest)[:16].decode()


def _permissions(rights: Iterable[str]) -> list[Permission]:
    found = []
    for right in rights:
        app_label, codename = right.split(".")
        found.append(Permission.objects.get(content_type__app_label=app_label, codename=codename))
    return found


def _place(sale: _Sale, customer: User, *, name: str) -> Order:
    """Place an order, or find the one that an earlier run placed under this name."""
    return services.place(
        customer=customer,
        name=sale.name,
        description=sale.description,
        amount=sale.amount,
        currency=sale.currency,
        card=PAN(sale.digits),
        expires=date(timezone.localdate().year + 2, 12, 31),
        save_card=sale.save_card,
        submission=uuid.uuid5(_SUBMISSIONS, name),
    )


def _place_before(sale: _Sale, customer: User, *, number: int, days: int) -> None:
    """Place an order of so many days ago, once: a later run leaves it on its day."""
    name = f"{sale.name}, {number} before"
    if Order.objects.filter(customer=customer, submission=uuid.uuid5(_SUBMISSIONS, name)).exists():
        return
    order = _place(sale, customer, name=name)
    Order.objects.filter(pk=order.pk).update(placed_at=order.placed_at - timedelta(days=days))
