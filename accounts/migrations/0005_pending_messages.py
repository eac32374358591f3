"""Messages leave by a table, written in the transaction of what they tell of."""

from django.db import migrations, models
from django.db.models.functions import Now

import accounts.models.messages


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_sealed_trail")]
    operations = [
        migrations.CreateModel(
            name="PendingMessage",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=accounts.models.messages.new_message_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("what", models.CharField(editable=False, max_length=64)),
                ("content", models.BinaryField(editable=False, null=True)),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("due_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("tries", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("given_up_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["due_at"], name="messages_by_due", condition=models.Q(given_up_at=None))
                ],
            },
        ),
    ]
