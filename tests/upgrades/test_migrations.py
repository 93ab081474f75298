"""Migrations that the version before survives; and that this is found out."""

import subprocess

import pytest
from django.conf import settings
from django.db import connection, migrations, models
from django.db.migrations.state import ModelState, ProjectState

from tests.upgrades import BASELINE, ROOT
from tests.upgrades.compatibility import ALTERED, CHECK, NO_DEFAULT, later_migrations, problems

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"), reason="What MySQL gets, a connection to it says"
    ),
]
#: Migrations that look worse than they are, and why the version before survives them.
ALLOWED: dict[tuple[str, str], str] = {}


def test_the_version_before_survives_every_later_migration():
    found = {}
    for migration, state in later_migrations(connection, BASELINE["migrations"]):
        if (said := problems(migration, state, connection)) and (migration.app_label, migration.name) not in ALLOWED:
            found[f"{migration.app_label}.{migration.name}"] = said
    assert found == {}


def test_a_migration_that_is_not_released_is_looked_at():
    released = BASELINE["migrations"] | {"vault": "0009_api_requests", "orders": "0008_saved_cards_by_card"}
    later = {f"{each.app_label}.{each.name}" for each, _ in later_migrations(connection, released)}
    assert later >= {"orders.0009_orders_of_a_status", "vault.0010_console"}
    assert "orders.0008_saved_cards_by_card" not in later


# --- What is caught ------------------------------------------------------------------------------------------------


def state():
    """A table with rows in it, as the version before knows it."""
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=40)),
        ("state", models.CharField(max_length=10, db_default="new")),
        ("size", models.IntegerField(null=True)),
    ]
    made = ProjectState()
    made.add_model(ModelState("orders", "Parcel", fields))
    return made


def said_of(*operations):
    migration = migrations.Migration("0099_next", "orders")
    migration.operations = list(operations)
    return problems(migration, state(), connection)


def add(field, name="weight"):
    return migrations.AddField("parcel", name, field)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        pytest.param([migrations.RemoveField("parcel", "size")], "DROPPING columns", id="column dropped"),
        pytest.param([migrations.RenameField("parcel", "size", "volume")], "RENAMING columns", id="column renamed"),
        pytest.param([migrations.DeleteModel("Parcel")], "DROPPING table", id="table dropped"),
        pytest.param([migrations.RenameModel("Parcel", "Package")], "RENAMING tables", id="table renamed"),
        pytest.param(
            [migrations.AlterField("parcel", "size", models.CharField(max_length=9, null=True))],
            ALTERED,
            id="type altered",
        ),
        pytest.param([migrations.AlterField("parcel", "name", models.CharField(max_length=9))], ALTERED, id="narrower"),
        pytest.param(
            [migrations.AlterField("parcel", "size", models.IntegerField(default=0))], "NOT NULL", id="null no more"
        ),
        # Django's default is one of Python: the INSERT of the version before fails.
        pytest.param([add(models.IntegerField(default=0))], "NOT NULL", id="NOT NULL with a default of Python"),
        pytest.param(
            [add(models.IntegerField(default=0)), add(models.IntegerField(db_default=0), "height")],
            "NOT NULL",
            id="NOT NULL beside another column with a default",
        ),
        pytest.param(
            [migrations.AlterField("parcel", "state", models.CharField(max_length=10))],
            NO_DEFAULT,
            id="default dropped",
        ),
        pytest.param(
            [
                migrations.AddConstraint(
                    "parcel", models.CheckConstraint(condition=models.Q(size__gt=0), name="size_is_positive")
                )
            ],
            CHECK,
            id="check",
        ),
        pytest.param(
            [migrations.AddConstraint("parcel", models.UniqueConstraint(fields=["name"], name="one_name"))],
            "ADDING unique constraint",
            id="unique",
        ),
        pytest.param(
            [migrations.RunSQL("ALTER TABLE orders_parcel DROP COLUMN size")], "DROPPING columns", id="SQL of one's own"
        ),
    ],
)
def test_what_the_version_before_would_not_survive_is_found(operations, message):
    assert any(message in each for each in said_of(*operations))


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param([add(models.IntegerField(null=True))], id="nullable column"),
        pytest.param([add(models.IntegerField(db_default=0))], id="column with a default of the database"),
        pytest.param(
            [migrations.CreateModel("Label", [("id", models.BigAutoField(primary_key=True))])], id="another table"
        ),
        pytest.param([migrations.AddIndex("parcel", models.Index("name", name="by_name"))], id="index"),
        pytest.param([migrations.RunPython(migrations.RunPython.noop)], id="rows"),
        pytest.param([migrations.AlterModelOptions("parcel", {"verbose_name": "box"})], id="words"),
    ],
)
def test_what_it_survives_is_no_problem(operations):
    assert said_of(*operations) == []


# --- What was released ---------------------------------------------------------------------------------------------


def test_no_released_migration_was_edited():
    command = ["git", "diff", "--name-status", "--diff-filter=MDR", BASELINE["commit"], "--", "*/migrations/*.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("The history of the version before is not there: an archive, or a shallow clone.")
    assert done.stdout == ""
