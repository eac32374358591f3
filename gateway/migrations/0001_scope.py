"""The scope that lets a service ask about credentials stands in every catalogue; only operators grant it."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

NAME = "credentials:verify"


def add(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("credentials", "Scope").objects.get_or_create(
        name=NAME,
        defaults={
            "description": "Ask whether others' credentials are good",
            "restricted": True,
            "seal": b"",  # it is one of credentials.models.BUILT_IN
        },
    )


class Migration(migrations.Migration):
    dependencies = [("credentials", "0006_sealed_scopes")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
