"""Every change of a user or of the scope catalogue is told to whoever listens (PostgreSQL)."""

from django.db import migrations

from credentials.triggers import Watched, make_function, watch


class Migration(migrations.Migration):
    dependencies = [("credentials", "0002_attempts"), ("accounts", "0002_append_only_audit")]
    operations = [
        make_function(),
        watch(
            Watched(
                table="accounts_user",
                kind="user",
                events="UPDATE OF id, email, is_active, confirmed_at, auth_epoch OR DELETE",
            ),
            Watched(table="credentials_scope", events="INSERT OR UPDATE OF name OR DELETE"),
        ),
    ]
