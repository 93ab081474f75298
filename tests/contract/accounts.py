"""Every kind of account that the API meets."""

from knox.models import AuthToken

from tests.factories import make_user

API_RIGHTS = (
    "vault.tokenize_pan",
    "vault.detokenize_pan",
    "vault.detokenize_unattended",
    "vault.search_pan",
    "vault.erase_card",
    "vault.view_card",
    "orders.add_order",
    "orders.change_order",
    "orders.view_order",
)
ALL_RIGHTS = "all rights"
ANONYMOUS = "anonymous"

# By name: the rights, and what the account is besides.
KINDS = {
    ANONYMOUS: None,
    "no rights": ((), {}),
    "tokenize": (("vault.tokenize_pan",), {}),
    "detokenize": (("vault.detokenize_pan", "vault.detokenize_unattended"), {}),
    "search": (("vault.search_pan",), {}),
    "erase": (("vault.erase_card",), {}),
    "view cards": (("vault.view_card",), {}),
    "place orders": (("orders.add_order",), {}),
    "change orders": (("orders.change_order",), {}),
    "view orders": (("orders.view_order",), {}),
    ALL_RIGHTS: (API_RIGHTS, {}),
    "staff": ((), {"is_staff": True}),
    "superuser": ((), {"is_staff": True, "is_superuser": True}),
}
# Who is given digits, if it asks for them in the right way.
READERS = frozenset({"detokenize", ALL_RIGHTS})


def make_account(kind):
    """An account of this kind; None for whoever has none."""
    if KINDS[kind] is None:
        return None
    rights, fields = KINDS[kind]
    return make_user(kind.replace(" ", "-"), *rights, **fields)


def credentials_of(account) -> dict[str, str]:
    """The header that the account sends with each request."""
    return {} if account is None else {"Authorization": f"Token {AuthToken.objects.create(account)[1]}"}
