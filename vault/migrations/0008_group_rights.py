"""The ready-made groups get the rights of what is new, if nobody changed what they may do in the vault."""

from django.conf import settings
from django.db import migrations

# As 0004 made them.
BEFORE = {
    "Fraud": {"view_card", "detokenize_pan", "search_pan", "view_revealrequest", "approve_reveal"},
    "Support": {"view_card", "search_pan", "erase_card"},
    "Key custodian": {"manage_keys"},
    "Auditor": {"view_card", "view_revealrequest", "view_auditevent"},
}
NEW = {
    "Fraud": {
        "card": ["hold_card"],
        "erasurecertificate": ["view_erasurecertificate"],
        "incident": ["view_incident", "work_incident"],
    },
    "Support": {"erasurecertificate": ["view_erasurecertificate"]},
    "Key custodian": {"key": ["view_key"]},
    "Auditor": {
        "erasurecertificate": ["view_erasurecertificate"],
        "incident": ["view_incident"],
        "exportrequest": ["view_exportrequest"],
        "key": ["view_key"],
    },
    # Whoever asks for an export is named one by one: nobody should be in a group that asks and one that approves.
    "Export approver": {"exportrequest": ["view_exportrequest", "approve_export"]},
}
NAMES = {
    "hold_card": "Can put cards under legal hold",
    "view_erasurecertificate": "Can view erasure certificate",
    "view_incident": "Can view incident",
    "work_incident": "Can work off incidents",
    "view_exportrequest": "Can view export request",
    "approve_export": "Can approve that cards are exported",
    "view_key": "Can view key",
}


def grant(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    ContentType = apps.get_model("contenttypes", "ContentType")
    for name, rights in NEW.items():
        group, is_new = Group.objects.get_or_create(name=name)
        held = set(group.permissions.filter(content_type__app_label="vault").values_list("codename", flat=True))
        if not is_new and held != BEFORE.get(name):
            continue
        for model, codenames in rights.items():
            kind, _ = ContentType.objects.get_or_create(app_label="vault", model=model)
            for codename in codenames:
                # Django makes permissions after all migrations; those that are here already it leaves as they are.
                permission, _ = Permission.objects.get_or_create(
                    content_type=kind, codename=codename, defaults={"name": NAMES[codename]}
                )
                group.permissions.add(permission)


class Migration(migrations.Migration):

    dependencies = [
        ("vault", "0007_exports"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    # Undone by hand: by then the groups have members.
    operations = [migrations.RunPython(grant, migrations.RunPython.noop, elidable=False)]
