"""Keys, their secrets, the policies that bound them, notices about them, and answers that are kept."""

import apikeys.models.idempotency
import apikeys.models.keys
import apikeys.models.notices
import apikeys.models.secrets
import django.core.validators
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
                        default=apikeys.models.keys.new_key_id,
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
                (
                    "version",
                    models.PositiveIntegerField(
                        default=1, editable=False, help_text="Raised by every change, not by use."
                    ),
                ),
                ("paused_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("paused_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("paused_reason", models.CharField(blank=True, editable=False, max_length=200)),
                ("paused_by_operator", models.BooleanField(default=False, editable=False)),
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
                ("notice_at", models.DateTimeField(editable=False, null=True)),
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
            name="IdempotentAnswer",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=apikeys.models.idempotency.new_answer_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("caller", models.CharField(max_length=64)),
                ("call", models.BinaryField(max_length=32)),
                ("request", models.BinaryField(max_length=32)),
                ("holds_secret", models.BooleanField()),
                ("content", models.BinaryField(null=True)),
                ("created_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="idempotent_answers",
                        to="apikeys.apikey",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="KeyPolicy",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                (
                    "environment",
                    models.CharField(
                        choices=[("live", "Live"), ("test", "Test")], max_length=4, primary_key=True, serialize=False
                    ),
                ),
                (
                    "max_days",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="How far ahead an expiry may be set. Leave empty for no limit.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                        verbose_name="maximum lifetime in days",
                    ),
                ),
                (
                    "allows_never",
                    models.BooleanField(
                        default=True,
                        help_text="If not, every new key needs an expiry.",
                        verbose_name="allow keys that never expire",
                    ),
                ),
                (
                    "default_days",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="For a key whose expiry isn't chosen. Leave empty for never.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                        verbose_name="default expiry in days",
                    ),
                ),
                (
                    "allows_reveal",
                    models.BooleanField(
                        default=True,
                        help_text="If not, a new secret is shown once and not stored, and no stored one can be revealed.",
                        verbose_name="allow secrets to be revealed",
                    ),
                ),
                (
                    "max_keys",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="In this environment, not counting revoked ones. Leave empty for the portal's limit alone.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000000),
                        ],
                        verbose_name="maximum keys per developer",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "key policies",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("environment__in", ["live", "test"])), name="policy_environment_is_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("max_days", None),
                                models.Q(("max_days__gte", 1), ("max_days__lte", 36500)),
                                _connector="OR",
                            ),
                            models.Q(
                                ("default_days", None),
                                models.Q(("default_days__gte", 1), ("default_days__lte", 36500)),
                                _connector="OR",
                            ),
                            models.Q(
                                ("max_keys", None),
                                models.Q(("max_keys__gte", 1), ("max_keys__lte", 1000000)),
                                _connector="OR",
                            ),
                        ),
                        name="policy_numbers_are_bounded",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("allows_never", True), ("default_days__isnull", False), _connector="OR"),
                        name="policy_has_a_default",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_days", None),
                            ("default_days", None),
                            ("default_days__lte", models.F("max_days")),
                            _connector="OR",
                        ),
                        name="policy_default_is_within_bounds",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="KeySecret",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                (
                    "id",
                    models.CharField(
                        default=apikeys.models.secrets.new_secret_id,
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
                ("replaced_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("retires_at", models.DateTimeField(blank=True, null=True)),
                ("notice_at", models.DateTimeField(editable=False, null=True)),
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
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=apikeys.models.notices.new_notice_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("secret", models.CharField(blank=True, max_length=32)),
                ("kind", models.CharField(max_length=16)),
                ("due_for", models.DateTimeField(db_index=True)),
                (
                    "key",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="apikeys.apikey",
                    ),
                ),
            ],
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
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(
                condition=models.Q(("notice_at__isnull", False)), fields=["notice_at"], name="keys_by_notice"
            ),
        ),
        migrations.AddIndex(
            model_name="keysecret",
            index=models.Index(
                condition=models.Q(("notice_at__isnull", False)), fields=["notice_at"], name="secrets_by_notice"
            ),
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(
                condition=models.Q(("expires_at__isnull", False), ("revoked_at", None)),
                fields=["expires_at"],
                name="keys_by_expiry",
            ),
        ),
        migrations.AddIndex(
            model_name="keysecret",
            index=models.Index(
                condition=models.Q(("retires_at__isnull", False)), fields=["retires_at"], name="secrets_by_end"
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
        migrations.AddConstraint(
            model_name="idempotentanswer",
            constraint=models.UniqueConstraint(fields=("caller", "call"), name="one_answer_a_call"),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(fields=("key", "secret", "kind", "due_for"), name="one_notice"),
        ),
        migrations.AddConstraint(
            model_name="keysecret",
            constraint=models.UniqueConstraint(
                condition=models.Q(("replaced_at", None)), fields=("key",), name="one_current_secret_a_key"
            ),
        ),
    ]
