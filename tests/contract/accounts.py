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
# By operation: who may have it carried out. Orders can be looked at by everybody who is signed in: their own.
ANYBODY = frozenset(KINDS) - {ANONYMOUS}
MAY = {
    "GET /api/v1/orders/": ANYBODY,
    "GET /api/v1/orders/{public_id}/": ANYBODY,
    "POST /api/v1/orders/": {"place orders", ALL_RIGHTS, "superuser"},
    "POST /api/v1/orders/{public_id}/cancel/": {"change orders", ALL_RIGHTS, "superuser"},
    "POST /api/v1/orders/{public_id}/pay-again/": {"place orders", ALL_RIGHTS, "superuser"},
    "GET /api/v1/tokens/{token}/": {"view cards", "tokenize", ALL_RIGHTS, "superuser"},
    # Being a superuser is none of the rights of the vault.
    "POST /api/v1/tokens/": {"tokenize", ALL_RIGHTS},
    "POST /api/v1/tokens/batch/": {"tokenize", ALL_RIGHTS},
    "POST /api/v1/tokens/search/": {"search", ALL_RIGHTS},
    "POST /api/v1/tokens/detokenize/": {"detokenize", ALL_RIGHTS},
    "POST /api/v1/tokens/{token}/detokenize/": {"detokenize", ALL_RIGHTS},
    "DELETE /api/v1/tokens/{token}/": {"erase", ALL_RIGHTS},
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
