"""docs/access.md, written from the table: `make access`."""

import os
from pathlib import Path

from tests.access.table import TABLE, Access, Who

PATH = Path(__file__).parents[2] / "docs" / "access.md"
INTRODUCTION = """\
# Who may open what

Every address of this product, the methods that do something there, and who gets more than a refusal. This page is
written from `tests/access/table.py` with `make access`; the tests hold that table against the URLconf, where an address
without a row fails, and against the product, by visiting every address as

- nobody, and somebody whose account was closed: sent to sign in; 401 from the API;
- another customer, and one who has every right but is not of staff: 404 for what is somebody else's, no way into the admin;
- staff without rights; staff with every right but those that open the address: 403 or 404, and the same whichever single
  other right they have, as rights only add up; staff with no more than what opens it: let in;
- a superuser to whom no right was granted: let in only where the last column says so, which is nowhere that the vault
  guards. The list and the page of a card show a superuser what everybody with `vault.view_card` sees, masked;
- staff without a second factor, where one is required: led to set one up, whatever their rights;
- service accounts: without rights, with each right alone, with all but those that open the address, the one whose order
  it is; a token that is wrong, or of an account that was closed or became staff: 401.

Each refusal is also looked at for what must not be in it, such as tokens, order numbers, names and last four digits; and
afterwards no table has changed but those that note that somebody came, and nothing was asked of KMS and DynamoDB.

An account that is locked cannot sign in, and is nobody here. Rights come by name or by a group. A method that is not
listed for an address of the API answers 405. What somebody sees of an address that is open to "everybody who is signed
in" is their own. Files below `/static/` are the same for everybody.

"+" between two rights: both are needed; "or": one is enough. Where a right opens a page, each object on it may be guarded
further: nobody decides their own request, changes their own rights, or sees a number without an approval
([who-sees-what.md](who-sees-what.md)).
"""
CHAPTERS = {
    "For machines and readers": ("healthz", "readyz", "health_", "schema", "api_docs", "problem"),
    "Accounts": ("account_", "mfa_", "usersessions_", "set_language"),
    "Orders and cards of customers": ("orders:",),
    "The API": ("api_orders:", "api_vault:"),
    "The admin": ("admin",),
}


def text(routes: dict[str, str]) -> str:
    """The document; `routes` has the route of each name."""
    parts = [INTRODUCTION]
    for title, starts in CHAPTERS.items():
        named = {name: row for name, row in TABLE.items() if name.startswith(starts)}
        parts += [f"## {title}\n", _chapter(named, routes)]
    return "\n".join(parts)


def _chapter(named, routes):
    lines = ["| address | method | who | superusers |", "|---|---|---|---|"]
    for name, row in named.items():
        kinds: dict[Access, list[str]] = {}
        for method, access in row.items():
            kinds.setdefault(access, []).append(method)
        for access, methods in kinds.items():
            lines.append(
                f"| `/{_plain(routes[name])}` | {', '.join(methods)} | {_who(access)} | {_superusers(access)} |"
            )
    return "\n".join(lines) + "\n"


def _plain(route):
    # The same as a person would write it; a stroke would end the cell.
    return (
        route.replace("(?P<url>.*)$", "<anything else>")
        .replace("^(?P<app_label>", "<")
        .replace(")/$", ">/")
        .replace("|", ", ")
    )


def _who(access):
    rights = " or ".join(" + ".join(f"`{right}`" for right in sorted(each)) for each in access.rights)
    return f"{access.who.value} {rights}".strip()


def _superusers(access):
    if access.who in {Who.RIGHTS, Who.ACCOUNT, Who.OWN_OR, Who.OWN_AND}:
        return "yes" if access.is_for_superusers else "no"
    return ""


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.test")
    import django

    django.setup()
    from tests.access.visits import routes

    PATH.write_text(text(routes()))
