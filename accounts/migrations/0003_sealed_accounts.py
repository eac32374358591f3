"""What makes somebody somebody is sealed; links and attempts have tables of their own; the cache holds JSON."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_append_only_audit")]
    operations = [
        migrations.DeleteModel("CacheEntry"),
        migrations.CreateModel(
            name="CacheEntry",
            fields=[
                ("key", models.CharField(max_length=250, primary_key=True, serialize=False)),
                ("value", models.JSONField()),
                ("expires_at", models.DateTimeField(db_index=True, null=True)),
            ],
            options={"verbose_name_plural": "cache entries"},
        ),
        migrations.CreateModel(
            name="AttemptWindow",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("count", models.PositiveIntegerField(default=0)),
                ("ends_at", models.DateTimeField(db_index=True)),
                ("blocked_until", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField("user", "seal", models.BinaryField(max_length=64, default=b""), preserve_default=False),
        migrations.AddField(
            "user", "session_epoch", models.PositiveIntegerField(db_default=0, default=0, editable=False)
        ),
        migrations.AddField("user", "closed_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddField(
            "user",
            "factors_digest",
            models.CharField(blank=True, editable=False, max_length=64, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            "user",
            "rights_digest",
            models.CharField(blank=True, editable=False, max_length=64, default=""),
            preserve_default=False,
        ),
        migrations.CreateModel(
            name="MailedLink",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("purpose", models.CharField(max_length=16)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("email", models.EmailField(max_length=254)),
                ("issued_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mailed_links",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"abstract": False},
        ),
    ]
