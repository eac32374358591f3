"""Every change of a key or of a secret is told to whoever listens (PostgreSQL)."""

from django.db import migrations

from credentials.triggers import Watched, watch

OF_KEYS = "id, owner_id, name, environment, scopes, networks, expires_at, paused_at, revoked_at, revoked_reason, seal"
OF_ROWS_UNDER_KEYS = "id, key_id, digest, index_key_id, retires_at, seal"


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0001_initial"), ("credentials", "0003_notices")]
    operations = [
        watch(
            Watched(table="apikeys_apikey", kind="key", events=f"UPDATE OF {OF_KEYS} OR DELETE"),
            Watched(
                table="apikeys_keysecret",
                kind="key",
                column="key_id",
                events=f"UPDATE OF {OF_ROWS_UNDER_KEYS} OR DELETE",
            ),
        )
    ]
