"""Audiences that operators keep, and the one that a log-in is for. The row seals of log-ins cover it."""

from django.db import migrations, models

import tokens.models


class Migration(migrations.Migration):
    dependencies = [("tokens", "0003_family_notices")]
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
                        help_text="The name that the service uses. Clients send it as “resource”, and every character "
                        "counts: https://reports.example.com/ with a slash at the end is a different one.",
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
            options={"ordering": ["uri"]},
        ),
        migrations.AddField(
            model_name="tokenfamily",
            name="audience",
            field=models.CharField(blank=True, help_text="Empty for KEYPORTAL_AUDIENCE.", max_length=200),
        ),
    ]
