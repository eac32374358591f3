"""The audit trail, its chain, and the triggers that keep both append-only."""

import django.utils.timezone
from django.db import migrations, models

from audit.append_only import create_refusals, drop_refusals


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ChainLink",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("removed", models.BooleanField(default=False)),
                ("ids", models.TextField()),
                ("reach", models.PositiveBigIntegerField()),
                ("digest", models.BinaryField(max_length=32)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="ChainState",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("count", models.PositiveBigIntegerField(default=0)),
                ("earliest", models.DateTimeField(null=True)),
                ("latest", models.DateTimeField(null=True)),
                ("head", models.PositiveBigIntegerField(default=0)),
                ("head_seal", models.BinaryField(default=b"", max_length=64)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_chain_state")],
            },
        ),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seal", models.BinaryField(max_length=64)),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("verb", models.CharField(max_length=40)),
                ("actor", models.CharField(max_length=80)),
                ("subject_type", models.CharField(max_length=20)),
                ("subject_id", models.CharField(max_length=64)),
                ("address", models.GenericIPAddressField(null=True, verbose_name="client address")),
                ("peer", models.GenericIPAddressField(null=True, verbose_name="peer address")),
                ("request_id", models.CharField(blank=True, max_length=64)),
                ("details", models.JSONField(default=dict)),
                ("keep_until", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["subject_type", "subject_id", "-at"], name="audit_by_subject"),
                    models.Index(fields=["actor", "-at"], name="audit_by_actor"),
                    models.Index(
                        condition=models.Q(("keep_until__isnull", False)), fields=["keep_until"], name="audit_by_end"
                    ),
                ],
            },
        ),
        migrations.RunPython(create_refusals, drop_refusals),
    ]
