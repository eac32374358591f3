"""The end of a log-in is told: a verdict about its tokens depends on it."""

from typing import Final

from django.db import migrations

from credentials.triggers import Watched, watch

OF_FAMILIES: Final = "id, user_id, scopes, epoch, started_at, expires_at, ended_at, seal"


class Migration(migrations.Migration):
    dependencies = [("tokens", "0002_notices")]
    operations = [
        watch(Watched(table="tokens_tokenfamily", kind="token", events=f"UPDATE OF {OF_FAMILIES} OR DELETE")),
    ]
