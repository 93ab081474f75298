"""What a migration would break for the version before it, read off the SQL that MySQL gets.

The judgment is that of django-migration-linter. It is asked of each operation by itself: over a whole migration it takes
the default of one column for that of another. What it does not know is added here.
"""

import re
from collections.abc import Iterator

from django.db.migrations.loader import MigrationLoader
from django_migration_linter.sql_analyser import analyse_sql_statements
from django_migration_linter.sql_analyser.mysql import MySqlAnalyser

ALTERED = "a column is altered; if it only gets wider, allow it with a reason"
CHECK = "a constraint that rows of the version before may not meet"
NO_DEFAULT = "a default is dropped that the version before relies on"


def later_migrations(connection, released):
    """The migrations that come after `released`, which names the last one of each app, and the state before each."""
    loader = MigrationLoader(connection)
    before = set()
    for leaf in released.items():
        before |= {node for node in loader.graph.forwards_plan(leaf) if node[0] in released}
    for node in loader.graph._generate_plan(loader.graph.leaf_nodes(), at_end=True):
        if node not in before:
            state = loader.project_state(node, at_end=False)
            yield loader.graph.nodes[node], state


def problems(migration, state, connection) -> list[str]:
    """What the version before could not work with, one line each."""
    found = []
    for operation in migration.operations:
        later = state.clone()
        operation.state_forwards(migration.app_label, later)
        # Code is not SQL; what it does to rows, its author knows.
        if operation.reduces_to_sql:
            with connection.schema_editor(collect_sql=True, atomic=False) as editor:
                operation.database_forwards(migration.app_label, editor, state, later)
            found += [f"{operation.describe()}: {said}" for said in _problems_of(editor.collected_sql)]
        state = later
    return found


def _problems_of(statements: list[str]) -> Iterator[str]:
    errors, _, warnings = analyse_sql_statements(MySqlAnalyser, statements)
    yield from (each.message for each in (*errors, *warnings))
    # The linter's own expression for it matches no SQL that Django writes for MySQL.
    if any(re.search("ALTER TABLE .* MODIFY ", each) for each in statements):
        yield ALTERED
    if any(re.search("ADD CONSTRAINT .* CHECK", each) for each in statements):
        yield CHECK
    if any("DROP DEFAULT" in each for each in statements) and not any("ADD COLUMN" in each for each in statements):
        yield NO_DEFAULT
