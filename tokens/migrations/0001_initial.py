"""Refresh tokens, their families, revoked tokens and audiences."""

import django.db.models.deletion
import django.utils.timezone
import tokens.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Audience",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                (
                    "id",
                    models.CharField(
                        default=tokens.models.new_audience_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "uri",
                    models.CharField(
                        help_text="The name that the service uses. Clients send it as “resource”, and every character counts: https://reports.example.com/ with a slash at the end is a different one.",
                        max_length=200,
                        unique=True,
                        verbose_name="URI",
                    ),
                ),
                (
                    "description",
                    models.CharField(help_text="Which service this is, as operators read it.", max_length=200),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["uri"],
            },
        ),
        migrations.CreateModel(
            name="RevokedToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("issuer", models.CharField(max_length=200)),
                ("token_id", models.CharField(max_length=64, verbose_name="jti or sid")),
                ("revoked_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "expires_at",
                    models.DateTimeField(db_index=True, help_text="When the last token that it names expires."),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("issuer", "token_id"), name="revoked_once")],
            },
        ),
        migrations.CreateModel(
            name="TokenFamily",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                (
                    "id",
                    models.CharField(
                        default=tokens.models.new_family_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("scopes", models.TextField(blank=True, help_text="Names separated by spaces, sorted.")),
                ("audience", models.CharField(blank=True, help_text="Empty for KEYPORTAL_AUDIENCE.", max_length=200)),
                ("epoch", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("refreshed_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_reason", models.CharField(blank=True, max_length=200)),
                ("address", models.GenericIPAddressField(null=True, verbose_name="client address")),
                ("agent", models.CharField(blank=True, max_length=200, verbose_name="user agent")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="token_families",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "token families",
            },
        ),
        migrations.CreateModel(
            name="RefreshToken",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                (
                    "id",
                    models.CharField(
                        default=tokens.models.new_refresh_id,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("index_key_id", models.CharField(max_length=16)),
                ("issued_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("replaced_by", models.CharField(blank=True, max_length=32)),
                (
                    "family",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tokens", to="tokens.tokenfamily"
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddIndex(
            model_name="tokenfamily",
            index=models.Index(fields=["user", "-refreshed_at"], name="families_of_a_user"),
        ),
        migrations.AddIndex(
            model_name="tokenfamily",
            index=models.Index(fields=["expires_at"], name="families_by_expiry"),
        ),
    ]
