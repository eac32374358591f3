"""Events carry a seal and the time until which they are kept; the database refuses every other way to lose one."""

import django.utils.timezone
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from accounts.append_only import create_refusals, drop_refusals


def drop_what_was_before(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take away the triggers that refused UPDATE and DELETE only."""
    if editor.connection.vendor == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            editor.execute(f"DROP TRIGGER IF EXISTS audit_refuses_{verb}")
    else:
        editor.execute("DROP TRIGGER IF EXISTS audit_refuses_change ON accounts_auditevent")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_sealed_accounts")]
    operations = [
        migrations.RunPython(drop_what_was_before, migrations.RunPython.noop),
        migrations.AddField(
            model_name="auditevent",
            name="keep_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="auditevent",
            name="seal",
            field=models.BinaryField(default=b"", max_length=64),
            preserve_default=False,
        ),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                condition=models.Q(("keep_until__isnull", False)), fields=["keep_until"], name="audit_by_end"
            ),
        ),
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("removed", models.BooleanField(default=False)),
                ("ids", models.TextField()),
                ("reach", models.PositiveBigIntegerField()),
                ("digest", models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="AuditState",
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
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_audit_state")],
            },
        ),
        migrations.RunPython(create_refusals, drop_refusals),
    ]
