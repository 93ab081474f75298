"""`RemoveAdoptedField`: on real tables, through the states that a migration has."""

import pytest
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import OperationWriter

from vault import services
from vault.adoption import NotAdopted, RemoveAdoptedField
from vault.fields import PANField
from vault.models import AuditEvent
from vault.pan import PAN

pytestmark = pytest.mark.django_db(transaction=True)

CREATE = migrations.CreateModel(
    "Receipt",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("number", models.CharField(max_length=32, blank=True)),
        ("card", PANField(null=True)),
    ],
)
REMOVE = RemoveAdoptedField("receipt", "number", to="card")


def state_after(*operations):
    state = ProjectState()
    for operation in operations:
        operation.state_forwards("till", state)
    return state


def perform(operation, *before, backwards=False, collect=False):
    old, new = state_after(*before), state_after(*before, operation)
    with connection.schema_editor(collect_sql=collect) as editor:
        if backwards:
            operation.database_backwards("till", editor, new, old)
        else:
            operation.database_forwards("till", editor, old, new)
    return editor


@pytest.fixture
def receipts():
    """The model of a table that is there for this test."""
    perform(CREATE)
    yield state_after(CREATE).apps.get_model("till", "Receipt").objects
    with connection.schema_editor() as editor:
        editor.execute("DROP TABLE till_receipt")


def columns():
    with connection.cursor() as cursor:
        return [each.name for each in connection.introspection.get_table_description(cursor, "till_receipt")]


def test_it_drops_nothing_while_a_row_is_not_adopted(receipts, leaks, canary):
    number = canary("old column")
    for sink in ("sql", "table", "file"):
        leaks.allow("old column", sink=sink, reason="The row was written before there was a vault.")
    receipts.create(number=number)
    with pytest.raises(NotAdopted):
        perform(REMOVE, CREATE)
    assert columns() == ["id", "number", "card"]
    assert receipts.get().number == number


@pytest.mark.parametrize("number", ["none", "0"])
def test_it_drops_nothing_while_a_value_is_no_card_number(receipts, number):
    receipts.create(number=number)
    with pytest.raises(NotAdopted):
        perform(REMOVE, CREATE)
    assert "number" in columns()


def test_it_drops_the_column_when_both_agree(receipts, leaks, canary):
    number = canary("old column")
    for sink in ("sql", "file"):
        leaks.allow("old column", sink=sink, reason="The row was written before there was a vault.")
    token = services.tokenize(PAN(number)).token
    receipts.create(number=number, card=token)
    perform(REMOVE, CREATE)
    assert columns() == ["id", "card"]
    assert AuditEvent.objects.filter(operation="adopt", outcome="done", subject="till.Receipt.number").exists()


def test_an_empty_table_asks_no_vault(receipts, wire):
    perform(REMOVE, CREATE)
    assert columns() == ["id", "card"]
    assert not wire.calls
    assert not AuditEvent.objects.exists()


def test_sqlmigrate_looks_at_no_rows(receipts):
    receipts.create(number="none")
    assert perform(REMOVE, CREATE, collect=True).collected_sql
    assert "number" in columns()


def test_a_database_without_the_model_is_left_alone(receipts, settings):
    receipts.create(number="none")
    settings.DATABASE_ROUTERS = ["tests.vault.adoption.test_operations.Nowhere"]
    perform(REMOVE, CREATE)
    assert "number" in columns()


class Nowhere:
    def allow_migrate(self, *_, **__):
        return False


def test_it_can_be_taken_back(receipts):
    perform(REMOVE, CREATE)
    perform(REMOVE, CREATE, backwards=True)
    assert sorted(columns()) == ["card", "id", "number"]


def test_a_migration_can_be_written_with_it():
    lines, imports = OperationWriter(REMOVE, indentation=0).serialize()
    assert "to='card'" in lines
    assert any("vault.adoption" in each for each in imports)
    assert REMOVE.describe() == "Remove field number from receipt, adopted into card"
