"""Made triggers that credentials.0008_change_counter makes now, for all tables in one place."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0001_initial"), ("credentials", "0003_notices")]
    operations = []
