"""Ready-made groups. A group that exists under one of these names is somebody's own and is not touched."""

from django.conf import settings
from django.db import migrations

RIGHTS = {
    # Finds a card, asks for a look at it with a purpose and a ticket, and sees the number if another person agrees.
    "Fraud": {
        "card": ["view_card", "detokenize_pan", "search_pan"],
        "revealrequest": ["view_revealrequest", "approve_reveal"],
    },
    # Finds a card for a customer and erases it on request; never sees a number.
    "Support": {"card": ["view_card", "search_pan", "erase_card"]},
    "Key custodian": {"card": ["manage_keys"]},
    "Auditor": {
        "card": ["view_card"],
        "revealrequest": ["view_revealrequest"],
        "auditevent": ["view_auditevent"],
    },
}
NAMES = {
    "view_card": "Can view card",
    "detokenize_pan": "Can read card numbers",
    "search_pan": "Can find a card by its number",
    "erase_card": "Can erase cards",
    "manage_keys": "Can manage the keys of the vault",
    "view_revealrequest": "Can view reveal request",
    "approve_reveal": "Can approve that somebody sees a card number",
    "view_auditevent": "Can view audit event",
}


def create_groups(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    ContentType = apps.get_model("contenttypes", "ContentType")
    for name, rights in RIGHTS.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if not is_new:
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
        ("vault", "0003_append_only"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    # Undone by hand: by then the groups have members.
    operations = [migrations.RunPython(create_groups, migrations.RunPython.noop, elidable=False)]
