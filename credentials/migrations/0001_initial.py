"""The scope catalogue, usage, source addresses and the change counter."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Scope",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                (
                    "name",
                    models.CharField(
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z][a-z0-9_.-]*(:[a-z][a-z0-9_.-]*)?\\Z", "Lower-case words, such as reports:read."
                            )
                        ],
                    ),
                ),
                ("description", models.CharField(help_text="What it allows, as developers read it.", max_length=200)),
                (
                    "restricted",
                    models.BooleanField(
                        default=False, help_text="Only operators can grant it; developers can't add it themselves."
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="UsageBatch",
            fields=[
                ("id", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(auto_now_add=True, db_index=True)),
            ],
            options={
                "verbose_name_plural": "usage batches",
            },
        ),
        migrations.CreateModel(
            name="ChangeCounter",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("identity", models.CharField(max_length=36)),
                ("n", models.PositiveBigIntegerField(default=0)),
                ("nonce", models.CharField(max_length=36)),
                ("raised_by", models.BigIntegerField(default=0)),
                ("raised_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_change_counter")],
            },
        ),
        migrations.CreateModel(
            name="RecordedChange",
            fields=[
                ("n", models.BigAutoField(primary_key=True, serialize=False)),
                ("nonce", models.CharField(max_length=16)),
                ("tag", models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="SourceAddress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credential", models.CharField(max_length=32)),
                ("secret", models.CharField(blank=True, max_length=32)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "verbose_name_plural": "source addresses",
                "constraints": [
                    models.UniqueConstraint(fields=("credential", "secret", "address"), name="one_source_address")
                ],
            },
        ),
        migrations.CreateModel(
            name="AddressUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credential", models.CharField(max_length=32)),
                ("day", models.DateField(db_index=True)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("count", models.PositiveBigIntegerField()),
            ],
            options={
                "verbose_name_plural": "address usage",
                "constraints": [
                    models.UniqueConstraint(fields=("credential", "day", "address"), name="address_counted_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Usage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credential", models.CharField(max_length=32)),
                ("secret", models.CharField(blank=True, max_length=32)),
                ("hour", models.DateTimeField(db_index=True)),
                ("entry_point", models.CharField(max_length=16)),
                ("outcome", models.CharField(max_length=24)),
                ("count", models.PositiveBigIntegerField()),
            ],
            options={
                "verbose_name_plural": "usage",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("credential", "secret", "hour", "entry_point", "outcome"), name="usage_counted_once"
                    )
                ],
            },
        ),
    ]
