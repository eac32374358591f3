"""The scopes of the management API are in the catalogue from the start."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SCOPES = {
    "keys:read": "List your keys, with their usage and history, through the API",
    "keys:write": "Create, change, rotate, pause and revoke your keys through the API",
    "self:rotate": "Give this key itself a new secret through the API",
}


def add(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for name, description in SCOPES.items():
        # No seal: they are some of credentials.scopes.models.BUILT_IN.
        fields = {"description": description, "restricted": False, "seal": b""}
        apps.get_model("credentials", "Scope").objects.get_or_create(name=name, defaults=fields)


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0001_keys"), ("credentials", "0001_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
