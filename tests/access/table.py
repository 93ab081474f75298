"""Who may open what: a row for every address of the URLconf, by its name, or by its route if it has none.

docs/access.md is written from this (`make access`), and tests/access/test_table.py holds it against the product.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product


class Who(StrEnum):
    """Who gets more than a refusal."""

    EVERYBODY = "everybody"
    SIGNED_IN = "everybody who is signed in, about themselves"
    OWNER = "the customer whose it is"
    STAFF = "everybody of staff"
    RIGHTS = "staff with"
    TOKEN = "every service account, about its own"
    OWN_OR = "the service account whose it is, or one with"
    OWN_AND = "the service account whose it is, with"
    ACCOUNT = "service accounts with"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Access:
    """Who gets an answer. `rights` are sets of rights, each of which is enough."""

    who: Who
    rights: tuple[frozenset[str], ...] = ()
    # Whether being a superuser is enough. For what the vault guards it never is.
    is_for_superusers: bool = False
    # What is sent, so that a refusal is not that of an empty form.
    body: dict[str, object] = field(default_factory=dict, hash=False)
    # Whether the refusal stands on a page of what this person may see by another right.
    is_seen: bool = False

    def missing(self) -> list[frozenset[str]]:
        """The least sets of rights without which it stays shut: one of each set that would be enough."""
        return [frozenset(choice) for choice in product(*self.rights)]


EVERYBODY, SIGNED_IN, OWNER = Access(Who.EVERYBODY), Access(Who.SIGNED_IN), Access(Who.OWNER)
STAFF, NOBODY, TOKEN = Access(Who.STAFF), Access(Who.NOBODY), Access(Who.TOKEN)
NOTE, REASON = {"note": "noted"}, {"reason": "asked for it"}


def _sets(alternatives: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(each.split(" + ")) for each in alternatives)


def by_django(*alternatives: str, **options) -> Access:
    """Staff with one of these: Django's permissions, all of which a superuser has."""
    return Access(Who.RIGHTS, _sets(alternatives), is_for_superusers=True, **options)


def by_grant(*alternatives: str, **options) -> Access:
    """Staff to whom one of these was granted by name."""
    return Access(Who.RIGHTS, _sets(alternatives), **options)


def account(*alternatives: str, who: Who = Who.ACCOUNT, **options) -> Access:
    return Access(who, _sets(alternatives), **options)


def of_model(
    model: str, view: Access, *, one: Access | None = None, history: Access | None = None, **acts: Access
) -> dict[str, dict[str, Access]]:
    """The addresses that Django gives every model of the admin. What is not said nobody may do."""
    app, _, name = model.partition("_")
    add, change, delete = (acts.get(act, NOBODY) for act in ("add", "change", "delete"))
    return {
        f"admin:{model}_changelist": {"GET": view, "POST": view},
        f"admin:{model}_add": {"GET": add, "POST": add},
        f"admin:{model}_change": {"GET": one or view, "POST": change},
        f"admin:{model}_delete": {"GET": delete, "POST": delete},
        f"admin:{model}_history": {"GET": history or view, "POST": history or view},
        # From before Django 1.9; leads to the page, which refuses by itself.
        f"admin/{app}/{name}/<path:object_id>/": {"GET": STAFF, "POST": STAFF},
    }


# For those whose request it is, and in another state; others are refused on the page of the request.
SEEN = Access(Who.NOBODY, body=NOTE, is_seen=True)
CARDS = by_django("vault.view_card")
ORDERS = by_django("orders.view_order", "orders.change_order")
# The models of one app: for whoever may see one of them, and for a superuser the cards.
APP_OF_THE_VAULT = by_django(
    "vault.view_card",
    "vault.view_auditevent",
    "vault.view_erasurecertificate",
    "vault.request_export",
    "vault.approve_export",
    "vault.view_exportrequest",
    "vault.view_incident",
    "vault.work_incident",
    "vault.manage_keys",
    "vault.view_key",
    "vault.detokenize_pan",
    "vault.approve_reveal",
    "vault.view_revealrequest",
)
DECIDE_EXPORT = by_grant("vault.approve_export", is_seen=True)
SEE_A_REVEAL = by_grant("vault.approve_reveal", "vault.view_revealrequest")
SEE_AN_EXPORT = by_grant("vault.approve_export", "vault.view_exportrequest")
SEE_REVEALS = by_grant("vault.detokenize_pan", "vault.approve_reveal", "vault.view_revealrequest")

TABLE: dict[str, dict[str, Access]] = {
    # --- For machines, and for whoever reads about the API ---
    "healthz": {"GET": EVERYBODY},
    "readyz": {"GET": EVERYBODY},
    "health_retention": {"GET": EVERYBODY},
    "schema": {"GET": EVERYBODY},
    "api_docs": {"GET": EVERYBODY},
    "problems": {"GET": EVERYBODY},
    "problem": {"GET": EVERYBODY},
    # --- Accounts ---
    "account_login": {"GET": EVERYBODY, "POST": EVERYBODY},
    "account_signup": {"GET": EVERYBODY, "POST": EVERYBODY},
    "account_inactive": {"GET": EVERYBODY},
    "account_reset_password": {"GET": EVERYBODY, "POST": EVERYBODY},
    "account_password_reset_completed": {"GET": EVERYBODY},
    "set_language": {"POST": EVERYBODY},
    # With a code from a mail, which this browser asked for; without one they lead back.
    "account_email_verification_sent": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "account_confirm_password_reset_code": {"GET": NOBODY, "POST": NOBODY},
    "account_complete_password_reset": {"GET": NOBODY, "POST": NOBODY},
    "account_start": {"GET": SIGNED_IN},
    "account_email": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "account_logout": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "account_reauthenticate": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "account_change_password": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "account_set_password": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "account_confirm_login_code": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_index": {"GET": SIGNED_IN},
    "mfa_authenticate": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_reauthenticate": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_activate_totp": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_deactivate_totp": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_view_recovery_codes": {"GET": SIGNED_IN},
    "mfa_generate_recovery_codes": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_download_recovery_codes": {"GET": SIGNED_IN},
    "mfa_list_webauthn": {"GET": SIGNED_IN},
    "mfa_add_webauthn": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_reauthenticate_webauthn": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_remove_webauthn": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_edit_webauthn": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "mfa_login_webauthn": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "usersessions_list": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    # --- Orders and cards ---
    "orders:overview": {"GET": SIGNED_IN},
    "orders:list": {"GET": SIGNED_IN},
    "orders:new": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "orders:cards": {"GET": SIGNED_IN},
    "orders:detail": {"GET": OWNER},
    "orders:receipt": {"GET": OWNER},
    "orders:pay_again": {"GET": OWNER, "POST": OWNER},
    "orders:cancel": {"GET": OWNER, "POST": OWNER},
    "orders:card": {"GET": OWNER, "POST": OWNER},
    "orders:card_default": {"POST": OWNER},
    "orders:card_remove": {"GET": OWNER, "POST": OWNER},
    # --- The API ---
    "api_orders:orders": {
        "GET": TOKEN,
        "POST": account(
            "orders.add_order", is_for_superusers=True, body={"name": "Jug", "amount": "1.00", "currency": "EUR"}
        ),
    },
    "api_orders:order": {"GET": account("orders.view_order", who=Who.OWN_OR, is_for_superusers=True)},
    "api_orders:order_cancel": {"POST": account("orders.change_order", who=Who.OWN_AND)},
    "api_orders:order_pay_again": {"POST": account("orders.add_order", who=Who.OWN_AND)},
    "api_vault:tokens": {"POST": account("vault.tokenize_pan", body={"pan": "PAN"})},
    "api_vault:token-batch": {"POST": account("vault.tokenize_pan", body={"rows": [{"pan": "PAN"}]})},
    "api_vault:token-search": {"POST": account("vault.search_pan", body={"pan": "KNOWN"})},
    "api_vault:detokenize": {
        "POST": account("vault.detokenize_pan + vault.detokenize_unattended", body={"purpose": "refund", "reason": "x"})
    },
    "api_vault:detokenize-batch": {
        "POST": account(
            "vault.detokenize_pan + vault.detokenize_unattended",
            body={"purpose": "refund", "reason": "x", "tokens": ["TOKEN"]},
        )
    },
    # At the end of the API: whoever may erases the card, and that is not taken back with the transaction.
    "api_vault:token": {
        "GET": account("vault.view_card", "vault.tokenize_pan", is_for_superusers=True),
        "DELETE": account("vault.erase_card", body=REASON),
    },
    # --- The admin itself ---
    "admin/password_change/": {"GET": EVERYBODY, "POST": EVERYBODY},
    "admin:password_change": {"GET": EVERYBODY, "POST": EVERYBODY},
    "admin:password_change_done": {"GET": STAFF},
    "admin:login": {"GET": STAFF, "POST": STAFF},
    "admin:logout": {"POST": EVERYBODY},
    "admin:index": {"GET": STAFF, "POST": STAFF},
    "admin:app_list": {
        "GET": APP_OF_THE_VAULT,
    },
    "admin:jsi18n": {"GET": STAFF},
    # Of no field of ours.
    "admin:autocomplete": {"GET": NOBODY},
    "admin:view_on_site": {"GET": NOBODY, "POST": NOBODY},
    "admin/(?P<url>.*)$": {"GET": NOBODY, "POST": NOBODY},
    # A list that one may see, and filters of one's own or shared ones: tests/billing/test_filters.py.
    "admin:filter_save": {
        "POST": by_django(
            "orders.view_order", "orders.change_order", body={"name": "mine", "model": "orders.order", "query": "q=x"}
        )
    },
    "admin:filter_open": {"GET": by_django("orders.view_order", "orders.change_order")},
    "admin:filter_delete": {"POST": NOBODY},
    # --- Accounts in the admin ---
    **of_model(
        "auth_user",
        by_django("auth.view_user", "auth.change_user"),
        change=by_django("auth.change_user"),
        add=by_django("auth.add_user + auth.change_user"),
        delete=by_django("auth.delete_user"),
    ),
    "admin:auth_user_password_change": {"GET": by_django("auth.change_user"), "POST": by_django("auth.change_user")},
    **of_model(
        "auth_group",
        by_django("auth.view_group", "auth.change_group"),
        change=by_django("auth.change_group"),
        add=by_django("auth.add_group"),
        delete=by_django("auth.delete_group"),
    ),
    **of_model(
        "account_emailaddress",
        by_django("account.view_emailaddress", "account.change_emailaddress"),
        change=by_django("account.change_emailaddress"),
        add=by_django("account.add_emailaddress"),
        delete=by_django("account.delete_emailaddress"),
    ),
    **of_model(
        "mfa_authenticator",
        by_django("mfa.view_authenticator", "mfa.change_authenticator"),
        delete=by_django("mfa.delete_authenticator"),
    ),
    **of_model(
        "knox_authtoken",
        by_django("knox.view_authtoken", "knox.change_authtoken"),
        delete=by_django("knox.delete_authtoken"),
    ),
    "admin:knox_authtoken_accounts": {"GET": by_django("knox.view_authtoken", "knox.change_authtoken")},
    # --- Orders in the admin ---
    **of_model("orders_order", ORDERS, change=by_django("orders.change_order")),
    "admin:orders_order_csv": {"GET": ORDERS},
    "admin:orders_order_cancel": {"POST": by_django("orders.change_order")},
    **of_model("orders_savedcard", by_django("orders.view_savedcard")),
    **of_model("orders_endpoint", by_django("orders.view_endpoint")),
    **of_model("orders_event", by_django("orders.view_event + orders.view_order")),
    **of_model("orders_delivery", by_django("orders.view_delivery")),
    # --- The vault in the admin ---
    **of_model("vault_card", CARDS),
    "admin:vault_card_csv": {"GET": CARDS},
    "admin:vault_card_search": {
        "GET": by_grant("vault.search_pan"),
        "POST": by_grant("vault.search_pan", body={"number": "KNOWN"}),
    },
    "admin:vault_card_reveal": {"POST": by_grant("vault.detokenize_pan")},
    "admin:vault_card_break_glass": {"POST": by_grant("vault.detokenize_pan")},
    "admin:vault_card_erase": {"POST": by_grant("vault.erase_card")},
    "admin:vault_card_hold": {"POST": by_grant("vault.hold_card", body=REASON)},
    "admin:vault_card_release": {"POST": by_grant("vault.hold_card", body=REASON)},
    # Whoever may read numbers sees what they asked for themselves.
    **of_model("vault_revealrequest", SEE_REVEALS, one=SEE_A_REVEAL, history=NOBODY),
    "admin:vault_revealrequest_locked": {"GET": by_grant("vault.approve_reveal")},
    "admin:vault_revealrequest_unlock": {"POST": by_grant("vault.approve_reveal")},
    "admin:vault_revealrequest_show": {
        "GET": SEE_A_REVEAL,
        "POST": SEEN,
    },
    "admin:vault_revealrequest_approve": {"POST": by_grant("vault.approve_reveal", body=NOTE, is_seen=True)},
    "admin:vault_revealrequest_refuse": {"POST": by_grant("vault.approve_reveal", body=NOTE, is_seen=True)},
    # Nobody has broken the glass here: tests/vault/admin/test_requests.py.
    "admin:vault_revealrequest_review": {"POST": SEEN},
    **of_model("vault_auditevent", by_grant("vault.view_auditevent"), history=NOBODY),
    "admin:vault_auditevent_verify": {"POST": by_grant("vault.view_auditevent")},
    **of_model("vault_erasurecertificate", by_grant("vault.view_erasurecertificate"), history=NOBODY),
    "admin:vault_erasurecertificate_check": {"POST": by_grant("vault.view_erasurecertificate")},
    "admin:vault_erasurecertificate_download": {"GET": by_grant("vault.view_erasurecertificate")},
    **of_model(
        "vault_exportrequest",
        by_grant("vault.request_export", "vault.approve_export", "vault.view_exportrequest"),
        one=SEE_AN_EXPORT,
        history=NOBODY,
    ),
    "admin:vault_exportrequest_ask": {
        "GET": by_grant("vault.request_export"),
        "POST": by_grant("vault.request_export"),
    },
    "admin:vault_exportrequest_approve": {"GET": SEE_AN_EXPORT, "POST": DECIDE_EXPORT},
    "admin:vault_exportrequest_refuse": {"POST": by_grant("vault.approve_export", body=NOTE)},
    **of_model("vault_incident", by_grant("vault.view_incident", "vault.work_incident"), history=NOBODY),
    **{
        f"admin:vault_incident_{act}": {"POST": by_grant("vault.work_incident", body=NOTE, is_seen=True)}
        for act in ("confirm", "false_alarm", "clean", "check")
    },
    # An open one cannot be opened again: tests/vault/admin/test_incidents.py.
    "admin:vault_incident_reopen": {"POST": SEEN},
    **of_model("vault_key", by_grant("vault.manage_keys", "vault.view_key")),
    **of_model("vault_run", by_grant("vault.manage_keys", "vault.view_key")),
}
