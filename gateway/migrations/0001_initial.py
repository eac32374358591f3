"""The scope that lets a service check credentials is in every catalogue; only operators grant it."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

NAME = "credentials:verify"


def add(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("credentials", "Scope").objects.get_or_create(
        name=NAME,
        defaults={
            "description": "Check whether credentials are valid",
            "restricted": True,
            "seal": b"",  # it is one of credentials.scopes.models.BUILT_IN
        },
    )


class Migration(migrations.Migration):
    initial = True
    dependencies = [("credentials", "0001_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
