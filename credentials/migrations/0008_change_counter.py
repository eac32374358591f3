"""Changes are counted in the order of their commits, and told by triggers that always fire (PostgreSQL)."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from credentials.triggers import create_triggers, drop_triggers

BEFORE = (
    *("accounts_user", "apikeys_apikey", "apikeys_keysecret", "credentials_scope"),
    *("tokens_revokedtoken", "tokens_tokenfamily"),
)


def drop_what_was_before(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Take away the triggers of a database that was made before there was a counter."""
    if editor.connection.vendor == "postgresql":
        for table in BEFORE:
            for name in ("keyportal_changed", "keyportal_emptied"):
                editor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        editor.execute("DROP FUNCTION IF EXISTS keyportal_changed()")


class Migration(migrations.Migration):
    dependencies = [
        ("credentials", "0007_sealed_notices"),
        ("accounts", "0003_sealed_accounts"),
        ("apikeys", "0005_rate_limit_notices"),
        ("tokens", "0003_family_notices"),
    ]
    operations = [
        migrations.CreateModel(
            name="ChangeCounter",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("identity", models.CharField(max_length=36)),
                ("n", models.PositiveBigIntegerField(default=0)),
                ("mark", models.CharField(max_length=36)),
                ("raised_by", models.BigIntegerField(default=0)),
                ("raised_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_change_counter")],
            },
        ),
        migrations.RunPython(drop_what_was_before, migrations.RunPython.noop),
        migrations.RunPython(create_triggers, drop_triggers),
    ]
