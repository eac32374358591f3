"""What the seals of a user and of a scope cover is told too: a verdict depends on it."""

from typing import Final

from django.db import migrations

from credentials.triggers import Watched, watch_more

OF_USERS: Final = (
    "id, email, password, is_active, is_staff, is_superuser, confirmed_at, closed_at, auth_epoch, factors_digest, "
    "rights_digest, seal"
)
OF_SCOPES: Final = "name, restricted, seal"


class Migration(migrations.Migration):
    dependencies = [("credentials", "0006_sealed_scopes"), ("accounts", "0003_sealed_accounts")]
    operations = [
        watch_more(
            Watched(
                table="accounts_user",
                kind="user",
                events="UPDATE OF id, email, is_active, confirmed_at, auth_epoch OR DELETE",
            ),
            Watched(table="accounts_user", kind="user", events=f"UPDATE OF {OF_USERS} OR DELETE"),
        ),
        watch_more(
            Watched(table="credentials_scope", events="INSERT OR UPDATE OF name OR DELETE"),
            Watched(table="credentials_scope", events=f"INSERT OR UPDATE OF {OF_SCOPES} OR DELETE"),
        ),
    ]
