"""Attempts are counted in the room of the accounts."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("credentials", "0004_usage")]
    operations = [migrations.DeleteModel("Attempts")]
