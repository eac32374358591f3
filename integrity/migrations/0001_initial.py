"""The check values of ring keys."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="KeyCheck",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ring", models.CharField(max_length=16)),
                ("key_id", models.CharField(max_length=16)),
                ("value", models.BinaryField(max_length=32)),
                ("seen_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("ring", "key_id"), name="one_check_a_key")],
            },
        ),
    ]
