from django.db import migrations

from vault.audit import triggers


def create_triggers(apps, schema_editor):
    triggers.create(schema_editor.connection)


def drop_triggers(apps, schema_editor):
    triggers.drop(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [("vault", "0002_audit")]

    # The hint lets the router send this where the table is.
    operations = [migrations.RunPython(create_triggers, drop_triggers, hints={"model_name": "auditevent"}, elidable=False)]
