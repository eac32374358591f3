"""Made triggers that credentials.0008_change_counter makes now, for all tables in one place."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("credentials", "0002_attempts"), ("accounts", "0002_append_only_audit")]
    operations = []
