from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0008_saved_cards_by_card'),
    ]

    # In this order there is an index at each moment.
    operations = [
        migrations.AddIndex(
            model_name='order',
            index=models.Index(fields=['status', '-placed_at', '-id'], name='order_of_status'),
        ),
        migrations.RemoveIndex(
            model_name='order',
            name='order_by_status',
        ),
    ]
