"""Trial B8: every address, every method that it answers, and every kind of visitor, against the table.

A visitor with every right but those that open an address stands for each of the others alone: rights add up.
"""

import pytest
from django.contrib.auth.models import Permission, User

from tests.access.document import PATH, text
from tests.access.table import NOBODY, TABLE, Who
from tests.access.visits import (
    ALL_METHODS,
    Visitor,
    address_of,
    is_refused,
    named_in,
    routes,
    secrets_of,
    tables,
)
from tests.factories import make_user, token_of
from tests.scenes import scene
from vault.policy import Right

pytestmark = [pytest.mark.django_db, pytest.mark.either]
__all__ = ["scene"]

# What these answer somebody who is signed in depends on what they have set up, not on what they may.
OF_ACCOUNTS = ("account_", "mfa_", "usersessions_")
IS_API = ("api_orders:", "api_vault:")
PAGES = {name: row for name, row in TABLE.items() if not name.startswith(IS_API)}
API = {name: row for name, row in TABLE.items() if name.startswith(IS_API)}


@pytest.fixture
def digits(canary):
    """A number that is typed: nobody has it yet."""
    return canary("typed")


@pytest.fixture
def check(wire, scene, digits):
    """Holds visits against what is expected, and afterwards that the refused ones left nothing: `check(visitor, ...)`."""
    secrets, wrong, paths = secrets_of(scene), [], routes()
    before, calls = {}, wire.calls.copy()

    def filled(body):
        if isinstance(body, dict):
            return {name: filled(value) for name, value in body.items()}
        if isinstance(body, list):
            return [filled(value) for value in body]
        return {"PAN": digits, "KNOWN": scene.digits, "TOKEN": scene.saved.token.text}.get(body, body)

    def visit(visitor, name, method, access, *, is_let_in, **options):
        before.update(before or tables())
        address = address_of(paths[name], scene)
        answer = visitor.go(method, address, filled(access.body) if method != "GET" else None, **options)
        goes_by_state = is_let_in and name.startswith(OF_ACCOUNTS)
        if answer.status_code >= 500 or (is_refused(answer) is is_let_in and not goes_by_state):
            location = answer.headers.get("Location", "")
            wrong.append(f"{method} {name}: {answer.status_code} {location}, let in: {is_let_in}")
        is_stranger_to_it = not is_let_in or access.who is Who.SIGNED_IN
        if is_stranger_to_it and not access.is_seen and (found := named_in(answer, address, secrets)):
            wrong.append(f"{method} {name}: named {len(found)} things: {found}")
        return answer

    visit.begin = lambda: before.update(tables())
    yield visit
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    if not getattr(visit, "has_acted", False):
        assert tables() == before
        assert wire.calls == calls


def rows(table):
    return [(name, method, access) for name, row in table.items() for method, access in row.items()]


def everything_but(missing=frozenset()):
    wanted = Permission.objects.select_related("content_type")
    return [each for each in wanted if f"{each.content_type.app_label}.{each.codename}" not in missing]


def grant(user, permissions):
    """From now on the user has these and no others."""
    given = User.user_permissions.through.objects
    given.filter(user=user).delete()
    given.bulk_create(given.model(user=user, permission=each) for each in permissions)


def named(rights):
    return [each for each in everything_but() if f"{each.content_type.app_label}.{each.codename}" in rights]


# --- The table is whole ---------------------------------------------------------------------------------------------


def test_every_address_has_a_row_and_every_row_an_address():
    assert sorted(set(routes()) ^ set(TABLE)) == []


def test_every_right_of_the_table_is_there_and_every_right_of_the_vault_opens_something(db):
    known = {f"{each.content_type.app_label}.{each.codename}" for each in everything_but()}
    opening = {right for _, _, access in rows(TABLE) for each in access.rights for right in each}
    assert opening <= known
    assert {f"vault.{right}" for right in Right} <= opening


def test_the_document_says_the_same():
    assert PATH.read_text() == text(routes()), "Run `make access`."


# --- Pages and admin ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["anonymous", "inactive"])
def test_strangers(check, who):
    """Nobody is signed in; or somebody was, and the account was closed."""
    gone = make_user("gone", is_staff=True, is_superuser=True) if who == "inactive" else None
    visitor = Visitor(gone)
    if gone:
        User.objects.filter(pk=gone.pk).update(is_active=False)
    for name, method, access in rows(PAGES):
        check(visitor, name, method, access, is_let_in=access.who is Who.EVERYBODY)


def test_customers(check):
    """Another customer, and one with every right who is not of staff: neither gets into the admin, or at what is not theirs."""
    every = make_user("every")
    grant(every, everything_but())
    for visitor in (Visitor(make_user("other")), Visitor(every)):
        for name, method, access in rows(PAGES):
            check(visitor, name, method, access, is_let_in=access.who in {Who.EVERYBODY, Who.SIGNED_IN})


def test_the_owner(check, scene):
    """Removing the card comes last: it is erased, and that is not taken back with the transaction."""
    visitor, check.has_acted = Visitor(scene.customer), True
    owned = [(name, method, access) for name, method, access in rows(PAGES) if access.who is Who.OWNER]
    assert owned[-1][:2] == ("orders:card_remove", "POST")
    for name, method, access in owned:
        # An erasure is more than a transaction, so it refuses to be part of one.
        is_erasure = (name, method) == ("orders:card_remove", "POST")
        check(visitor, name, method, access, is_let_in=True, is_kept=is_erasure)


def in_admin(table):
    return [each for each in rows(table) if each[0].startswith("admin")]


def test_staff_without_rights_and_superusers_without_granted_ones(check):
    check.has_acted = True
    nobody, root = (
        Visitor(make_user("none", is_staff=True)),
        Visitor(make_user("root", is_staff=True, is_superuser=True)),
    )
    for name, method, access in in_admin(PAGES):
        is_open = access.who in {Who.EVERYBODY, Who.STAFF}
        check(nobody, name, method, access, is_let_in=is_open)
        check(root, name, method, access, is_let_in=is_open or access.is_for_superusers)


def test_staff_with_every_right_but_what_opens_an_address(check):
    clerk = make_user("clerk", is_staff=True)
    visitor = Visitor(clerk)
    check.begin()
    for name, method, access in in_admin(PAGES):
        for missing in access.missing() if access.who is Who.RIGHTS else [frozenset()] * (access.who is Who.NOBODY):
            grant(clerk, everything_but(missing))
            check(visitor, name, method, access, is_let_in=False)
    grant(clerk, [])


def test_staff_with_no_more_than_what_opens_an_address(check):
    check.has_acted = True
    clerk = make_user("clerk", is_staff=True)
    visitor = Visitor(clerk)
    for name, method, access in in_admin(PAGES):
        for rights in access.rights:
            grant(clerk, named(rights))
            check(visitor, name, method, access, is_let_in=True)


def test_staff_without_a_second_factor(scene, settings):
    """With every right, but no second factor: the admin leads to setting one up."""
    settings.STAFF_MFA_REQUIRED = True
    clerk = make_user("clerk", is_staff=True)
    grant(clerk, everything_but())
    visitor, before, paths = Visitor(clerk), tables(), routes()
    for name, method, access in in_admin(PAGES):
        if access.who is not Who.EVERYBODY:
            answer = visitor.go(method, address_of(paths[name], scene), access.body)
            assert (name, answer.status_code, answer.headers.get("Location", "")) == (name, 302, "/accounts/2fa/")
    assert tables() == before


# --- The API --------------------------------------------------------------------------------------------------------


def of_api():
    return sorted({right for _, _, access in rows(API) for each in access.rights for right in each})


def may(access, rights, *, is_owner=False, is_superuser=False):
    """Whether a service account with these rights is let in."""
    has_right = any(each <= rights for each in access.rights) or (is_superuser and access.is_for_superusers)
    return {Who.TOKEN: True, Who.OWN_OR: has_right or is_owner, Who.OWN_AND: has_right and is_owner}.get(
        access.who, has_right
    )


@pytest.mark.parametrize("who", ["nobody", "a wrong token", "an account that was closed", "staff"])
def test_the_api_answers_service_accounts_alone(check, who):
    token = {"nobody": "", "a wrong token": "0" * 64}.get(who)
    if token is None:
        user = make_user("gone", is_superuser=True)
        grant(user, everything_but())
        token = token_of(user)
        user.is_staff, user.is_active = who == "staff", who != "an account that was closed"
        user.save()
    visitor = Visitor(token=token)
    for name, method, access in rows(API):
        assert check(visitor, name, method, access, is_let_in=False).status_code == 401


def test_service_accounts_with_each_right_alone(check, leaks):
    """Without any, with each right of the table alone, and a superuser to whom none was granted."""
    leaks.allow("saved card", sink="http", reason="an account with both rights to numbers asks for it")
    check.has_acted = True
    shop, root = make_user("program"), make_user("root", is_superuser=True)
    visitor, superuser = Visitor(token=token_of(shop)), Visitor(token=token_of(root))
    for name, method, access in rows(API):
        check(superuser, name, method, access, is_let_in=may(access, set(), is_superuser=True))
        for rights in ({}, *({right} for right in of_api()), *access.rights):
            grant(shop, named(rights))
            check(visitor, name, method, access, is_let_in=may(access, set(rights)))


def test_service_accounts_with_every_right_but_what_opens_an_address(check):
    shop = make_user("program")
    visitor = Visitor(token=token_of(shop))
    check.begin()
    for name, method, access in rows(API):
        for missing in access.missing() if access.rights else []:
            grant(shop, everything_but(missing))
            check(visitor, name, method, access, is_let_in=False)
    grant(shop, [])


def test_the_service_account_whose_order_it_is(check, scene):
    check.has_acted = True
    visitor = Visitor(token=token_of(scene.customer))
    for name, method, access in rows(API):
        if access.who in {Who.OWN_OR, Who.OWN_AND}:
            grant(scene.customer, [])
            check(visitor, name, method, access, is_let_in=may(access, set(), is_owner=True))
            for rights in access.rights:
                grant(scene.customer, named(rights))
                check(visitor, name, method, access, is_let_in=may(access, rights, is_owner=True))


def test_no_address_of_the_api_answers_another_method(check, scene):
    every = make_user("every")
    grant(every, everything_but())
    visitor = Visitor(token=token_of(every))
    for name, row in API.items():
        for method in set(ALL_METHODS) - set(row):
            assert check(visitor, name, method, NOBODY, is_let_in=False).status_code == 405
