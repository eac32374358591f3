"""The triggers that announce what verdicts depend on. Last, because they need the tables of all rooms."""

from django.db import migrations

from credentials.verified_cache.trigger_setup import create_triggers, drop_triggers


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("apikeys", "0001_keys"),
        ("credentials", "0001_initial"),
        ("tokens", "0001_initial"),
    ]
    operations = [migrations.RunPython(create_triggers, drop_triggers)]
