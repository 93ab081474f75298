"""The users of MySQL as an operator makes them, on a real server; and whether the product works with so few rights."""

import json
import os
from contextlib import closing

import pytest
from django.conf import settings

from billing import database_users
from billing.database_users import DatabaseAdministrator, UnfitNames, users_of
from billing.management.commands.database_users import MYSQL_ONLY, UNFIT
from billing.settings.environment import Environment
from tests.cards import NUMBERS
from tests.processes import Installation
from tests.servers import make_account, rows_of, serving

is_sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
on_mysql = pytest.mark.skipif(is_sqlite, reason="SQLite has no users")
# What an address would have to quote, and what SQL would.
HARD = "p@ss:w/o%rd#?&=+ \\'\"$`"
PASSWORDS = {"billing": f"b{HARD}", "audit": f"a{HARD}", "migrate": f"m{HARD}"}
_ACCESS_DENIED, _COMMAND_DENIED, _TABLE_DENIED = 1045, 1142, 1044

# Somebody of the staff signs in and looks around; files that nobody collected have no names with a digest.
PAGES = """
import json
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("chief", "chief@example.com"), "django.contrib.auth.backends.ModelBackend")
pages = ("/", "/admin/", "/admin/orders/order/", "/admin/vault/card/", "/admin/auth/user/")
print(json.dumps([client.get(page).status_code for page in pages]))
"""


class Users:
    """Databases and users of this test's own, on the private server."""

    def __init__(self, folder):
        server, options = os.environ["DATABASE_URL"].split("?")
        self.prefix = f"users_{os.getpid()}"
        self.installation = Installation(
            folder,
            DATABASE_ADMIN_URL=f"{server.rpartition('/')[0]}/mysql?{options}",
            DATABASE_URL=f"mysql://{self.name('billing')}@localhost/{self.name('orders')}?{options}",
            AUDIT_DATABASE_URL=f"mysql://{self.name('audit')}@localhost/{self.name('log')}?{options}",
            MIGRATE_DATABASE_USER=self.name("migrate"),
            DATABASE_PASSWORD=PASSWORDS["billing"],
            AUDIT_DATABASE_PASSWORD=PASSWORDS["audit"],
            MIGRATE_DATABASE_PASSWORD=PASSWORDS["migrate"],
        )
        self.socket = options.partition("=")[2]

    def name(self, who):
        return f"{self.prefix}_{who}"

    def make(self, *arguments, **options):
        return self.installation.manage("database_users", *arguments, **options)

    def refused(self, who, statement, password=None):
        """The number of the error that somebody gets for a statement; 0 if it is done."""
        import MySQLdb

        try:
            account = {"user": self.name(who), "password": password or PASSWORDS[who]}
            with closing(MySQLdb.connect(unix_socket=self.socket, **account)) as connection:
                connection.cursor().execute(statement)
        except MySQLdb.Error as error:
            return error.args[0]
        return 0

    def administer(self, *statements):
        import MySQLdb

        with closing(MySQLdb.connect(unix_socket=self.socket, user="root")) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    def migrating(self):
        """The environment of the task that migrates: the same databases, as another user."""
        names = {"DATABASE_URL": "billing", "AUDIT_DATABASE_URL": "audit"}
        addresses = {
            name: self.installation.environment[name].replace(self.name(user), self.name("migrate"), 1)
            for name, user in names.items()
        }
        passwords = dict.fromkeys(("DATABASE_PASSWORD", "AUDIT_DATABASE_PASSWORD"), PASSWORDS["migrate"])
        return Installation(self.installation.folder, **self.installation.environment | addresses | passwords)


@pytest.fixture
def users(tmp_path_factory):
    made = Users(tmp_path_factory.mktemp("installation"))
    yield made
    made.administer(
        *(f"DROP DATABASE IF EXISTS {made.name(each)}" for each in ("orders", "log")),
        *(f"DROP USER IF EXISTS {made.name(each)}" for each in PASSWORDS),
        f"DROP ROLE IF EXISTS {made.name('role')}",
    )


pytestmark = pytest.mark.django_db(transaction=True)


def as_pattern(database):
    """As GRANT takes it, to which _ is any character."""
    return database.replace("_", r"\_")


@on_mysql
def test_nobody_can_do_what_is_not_their_work(users):
    users.make()
    orders, log = users.name("orders"), users.name("log")
    assert users.refused("migrate", f"CREATE TABLE {orders}.t (a int)") == 0
    assert users.refused("migrate", f"CREATE TABLE {log}.t (a int)") == 0
    can = {
        ("billing", f"INSERT INTO {orders}.t VALUES (1)"): 0,  # noqa: S608 - its own names
        ("billing", f"UPDATE {orders}.t SET a = 2"): 0,  # noqa: S608 - its own names
        ("billing", f"DELETE FROM {orders}.t"): 0,  # noqa: S608 - its own names
        ("billing", f"DROP TABLE {orders}.t"): _COMMAND_DENIED,
        ("billing", f"ALTER TABLE {orders}.t ADD b int"): _COMMAND_DENIED,
        ("billing", f"SELECT * FROM {log}.t"): _COMMAND_DENIED,  # noqa: S608 - its own names
        ("audit", f"INSERT INTO {log}.t VALUES (1)"): 0,  # noqa: S608 - its own names
        ("audit", f"SELECT * FROM {log}.t"): 0,  # noqa: S608 - its own names
        ("audit", f"UPDATE {log}.t SET a = 2"): _COMMAND_DENIED,  # noqa: S608 - its own names
        ("audit", f"DELETE FROM {log}.t"): _COMMAND_DENIED,  # noqa: S608 - its own names
        ("audit", f"SELECT * FROM {orders}.t"): _COMMAND_DENIED,  # noqa: S608 - its own names
        ("migrate", f"UPDATE {log}.t SET a = 2"): _COMMAND_DENIED,  # noqa: S608 - its own names
        ("migrate", "CREATE DATABASE another"): _TABLE_DENIED,
    }
    assert {act: users.refused(*act) for act in can} == can


@on_mysql
def test_again_it_changes_nothing_and_then_only_what_is_different(users):
    users.make()
    again = json.loads(users.make("--format", "json"))
    assert {each["action"] for each in again["changes"]} == {"unchanged"}
    users.installation.environment["AUDIT_DATABASE_PASSWORD"] = f"new{HARD}"
    changed = [each for each in json.loads(users.make("--format", "json"))["changes"] if each["action"] != "unchanged"]
    assert [each["resource"] for each in changed] == [f"user {users.name('audit')}"]
    assert users.refused("audit", "SELECT 1") == _ACCESS_DENIED
    assert users.refused("audit", "SELECT 1", password=f"new{HARD}") == 0


@on_mysql
def test_rights_that_somebody_added_or_took_are_put_right(users):
    users.make()
    before = [users.administer(f"SHOW GRANTS FOR {users.name(each)}") for each in PASSWORDS]
    audit, orders = users.name("audit"), users.name("orders")
    users.administer(
        f"CREATE TABLE {orders}.t (a int)",
        f"GRANT SELECT ON *.* TO {audit} WITH GRANT OPTION",
        f"GRANT ALL ON {orders}.* TO {audit}",
        f"GRANT SELECT ON `{orders[:-1]}%`.* TO {audit}",
        f"GRANT UPDATE ON {orders}.t TO {audit}",
        f"GRANT SELECT (a), INSERT (a) ON {orders}.t TO {audit} WITH GRANT OPTION",
        f"CREATE ROLE {users.name('role')}",
        f"GRANT {users.name('role')} TO {audit}",
        f"REVOKE DELETE ON `{as_pattern(orders)}`.* FROM {users.name('billing')}",
    )
    users.make()
    assert [users.administer(f"SHOW GRANTS FOR {users.name(each)}") for each in PASSWORDS] == before


@on_mysql
def test_a_database_whose_name_is_nearly_the_same_is_somebody_elses(users):
    orders = users.name("orders")
    other = orders.replace("_", "x")
    users.make()
    users.administer(f"CREATE DATABASE {other}")
    try:
        statements = [(who, f"CREATE TABLE {other}.t (a int)") for who in PASSWORDS]
        assert [users.refused(*each) for each in statements] == [_COMMAND_DENIED] * 3
    finally:
        users.administer(f"DROP DATABASE {other}")


@on_mysql
def test_rights_under_a_name_that_means_others_as_well_are_narrowed(users):
    users.make()
    before = users.administer(f"SHOW GRANTS FOR {users.name('billing')}")
    users.administer(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {users.name('orders')}.* TO {users.name('billing')}")
    users.make()
    assert users.administer(f"SHOW GRANTS FOR {users.name('billing')}") == before


@on_mysql
def test_a_dry_run_says_the_same_and_does_nothing(users):
    planned = users.make("--dry-run")
    assert users.administer(f"SHOW DATABASES LIKE '{users.name('orders')}'") == ()
    assert users.refused("billing", "SELECT 1") == _ACCESS_DENIED
    assert planned == users.make()


@on_mysql
def test_no_password_is_said_whatever_happens(users, capfd):
    said = users.make() + users.make("--format", "json")
    users.installation.environment["DATABASE_ADMIN_PASSWORD"] = f"wrong{HARD}"
    said += users.make(code=1) + capfd.readouterr().err
    assert not any(text in said for text in ("p@ss", "rd#"))


@on_mysql
def test_where_tls_is_required_nobody_comes_without(users, monkeypatch):
    users.make()
    for name in ("DATABASE_URL", "AUDIT_DATABASE_URL", "DATABASE_ADMIN_URL", "DATABASE_PASSWORD"):
        monkeypatch.setenv(name, users.installation.environment[name])
    monkeypatch.setenv("AUDIT_DATABASE_PASSWORD", PASSWORDS["audit"])
    env = Environment()
    orders = env.database("DATABASE_URL", "DATABASE_PASSWORD")
    audit = env.database("AUDIT_DATABASE_URL", "AUDIT_DATABASE_PASSWORD")
    administration = env.database("DATABASE_ADMIN_URL", "DATABASE_ADMIN_PASSWORD")
    three = users_of(orders, audit, migrations=users.name("migrate"), migrations_password=PASSWORDS["migrate"])
    changes = list(DatabaseAdministrator(administration, require_tls=True).run(three))
    assert [each.action for each in changes if each.resource.startswith("user")] == [database_users.CHANGED] * 3
    assert [users.refused(each, "SELECT 1") for each in PASSWORDS] == [_ACCESS_DENIED] * 3


@pytest.mark.parametrize(
    "same", [{"NAME": "billing"}, {"USER": "billing"}, {"USER": "billing_migrate"}, {"NAME": "a`b"}]
)
def test_two_that_are_one_are_refused(same):
    orders = {"NAME": "billing", "USER": "billing", "PASSWORD": ""}
    audit = {"NAME": "billing_audit", "USER": "billing_audit", "PASSWORD": ""} | same
    with pytest.raises(UnfitNames):
        users_of(orders, audit, migrations="billing_migrate", migrations_password="")


@on_mysql
def test_the_application_works_with_so_few_rights(users):
    """The way of an operator: users, tables, vault; then orders and every scheduled task, each as its own user."""
    users.make()
    migrating = users.migrating()
    migrating.manage("migrate", "--verbosity=0")
    migrating.manage("migrate", "--database=audit", "--verbosity=0")
    migrating.manage("createcachetable")
    application = users.installation
    application.manage("vault_provision")
    application.manage("migrate", "--check")
    assert len(users.administer(f"SHOW TRIGGERS FROM {users.name('log')}")) == 2
    token = make_account(application, "shop", "vault.tokenize_pan", "orders.add_order", "orders.view_order")
    with serving(application, 1) as (server,):
        body = {"name": "Beans", "amount": "12.50", "currency": "EUR", "pan": NUMBERS["visa"][0]}
        headers = {"Idempotency-Key": "few-rights"}
        assert [server.post("/api/v1/orders/", body, token=token, **headers).status_code for _ in "12"] == [201, 201]
        assert server.get("/readyz").status_code == 200
    assert json.loads(application.run(PAGES)) == [200] * 5
    assert rows_of(application) == {"orders": 1, "cards": 1, "records": 1}
    tasks = ("vault_audit seal", "vault_audit verify", "vault_purge", "vault_fsck", "clearsessions", "send_events")
    for task in (*tasks, "vault_check", "vault_keys"):
        application.manage(*task.split())


@pytest.mark.skipif(not is_sqlite, reason="MySQL is what it is for")
def test_a_file_of_sqlite_has_no_users(tmp_path, capfd):
    made = Installation(
        tmp_path, DATABASE_ADMIN_URL="mysql://root@127.0.0.1/mysql", MIGRATE_DATABASE_PASSWORD="hunter2"
    )
    process = made.start("database_users", stderr=None)
    assert process.wait() == 1
    assert capfd.readouterr().err == f"CommandError: {MYSQL_ONLY}\n"


def test_an_administrator_has_to_be_named(tmp_path, capfd):
    process = Installation(tmp_path).start("database_users", stderr=None)
    assert process.wait() == 1
    said = capfd.readouterr().err
    assert [line.partition(":")[0] for line in said.splitlines()[1:-1]] == [
        "DATABASE_ADMIN_URL",
        "MIGRATE_DATABASE_PASSWORD",
    ]


@on_mysql
def test_names_that_are_unfit_are_refused(users, capfd):
    users.installation.environment["MIGRATE_DATABASE_USER"] = users.name("billing")
    process = users.installation.start("database_users", stderr=None)
    assert process.wait() == 1
    assert capfd.readouterr().err == f"CommandError: {UNFIT}\n"
