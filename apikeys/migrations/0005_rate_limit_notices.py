"""A key's rate limit is told too: it is remembered with the rest (PostgreSQL)."""

from django.db import migrations

from credentials.triggers import Watched, watch_more

BEFORE = "id, owner_id, name, environment, scopes, networks, expires_at, paused_at, revoked_at, revoked_reason, seal"
AFTER = f"{BEFORE}, rate_limit"


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0004_purging")]
    operations = [
        watch_more(
            Watched(table="apikeys_apikey", kind="key", events=f"UPDATE OF {BEFORE} OR DELETE"),
            Watched(table="apikeys_apikey", kind="key", events=f"UPDATE OF {AFTER} OR DELETE"),
        )
    ]
