"""Who may take a scope is under a row seal."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("credentials", "0005_attempts_are_accounts")]
    operations = [
        migrations.AddField("scope", "seal", models.BinaryField(max_length=64, default=b""), preserve_default=False)
    ]
