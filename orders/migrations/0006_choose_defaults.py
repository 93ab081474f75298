"""Customers who have cards already get a default: the newest one still good, which was offered first until now."""

from django.db import migrations
from django.db.models import Exists, F, Max, OuterRef, Q
from django.utils import timezone

AT_ONCE = 1000


def choose(apps, schema_editor):
    cards = apps.get_model("orders", "SavedCard").objects.using(schema_editor.connection.alias)
    erased = apps.get_model("vault", "Card").objects.using(schema_editor.connection.alias).filter(status="erased")
    is_not_over = Q(expires=None) | Q(expires__gte=timezone.localdate())
    good = cards.filter(is_not_over).exclude(Exists(erased.filter(token=OuterRef("card"))))
    with_default = cards.exclude(default_of=None).values("customer")
    newest = good.exclude(customer__in=with_default).order_by().values("customer").annotate(newest=Max("pk"))
    chosen = list(newest.values_list("newest", flat=True))
    for start in range(0, len(chosen), AT_ONCE):
        cards.filter(pk__in=chosen[start : start + AT_ONCE]).update(default_of=F("customer"))


class Migration(migrations.Migration):

    dependencies = [("orders", "0005_names_and_defaults_of_cards"), ("vault", "0001_initial")]

    operations = [migrations.RunPython(choose, migrations.RunPython.noop, elidable=True)]
