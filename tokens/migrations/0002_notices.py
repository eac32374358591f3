"""Every revocation of a token is told to whoever listens (PostgreSQL).

Not its deletion: a revoked token is never remembered, so that the purge need not tell of a million rows.
"""

from django.db import migrations

from credentials.triggers import Watched, watch


class Migration(migrations.Migration):
    dependencies = [("tokens", "0001_initial"), ("credentials", "0003_notices")]
    operations = [
        watch(Watched(table="tokens_revokedtoken", kind="token", column="token_id", events="INSERT OR UPDATE"))
    ]
