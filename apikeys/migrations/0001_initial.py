"""Keys and their secrets."""

import apikeys.models
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="APIKey",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                (
                    "id",
                    models.CharField(
                        default=apikeys.models.new_key_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("environment", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                ("scopes", models.TextField(blank=True, help_text="Names separated by spaces, sorted.")),
                ("networks", models.TextField(blank=True, help_text="Networks separated by spaces; empty allows any.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("paused_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("revoked_reason", models.CharField(blank=True, editable=False, max_length=200)),
                (
                    "rate_limit",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="Such as 100/minute; empty for the portal's default.",
                        max_length=40,
                    ),
                ),
                ("form_token", models.CharField(editable=False, max_length=43, null=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="keys", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
            },
        ),
        migrations.CreateModel(
            name="KeySecret",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                (
                    "id",
                    models.CharField(
                        default=apikeys.models.new_secret_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("index_key_id", models.CharField(max_length=16)),
                ("ciphertext", models.BinaryField(null=True)),
                ("hint", models.CharField(max_length=32)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("retires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="secrets", to="apikeys.apikey"
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
            },
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(fields=["owner", "-created_at"], name="keys_of_an_owner"),
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(
                condition=models.Q(("revoked_at__isnull", False)), fields=["revoked_at"], name="revoked_keys"
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.UniqueConstraint(fields=("owner", "form_token"), name="one_key_a_form"),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("environment__in", ["live", "test"])), name="key_environment_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="key_has_a_name"),
        ),
    ]
