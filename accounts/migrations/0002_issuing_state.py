"""Whether operators have suspended the issuing of credentials."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="IssuingState",
            fields=[
                ("seal", models.BinaryField(max_length=64)),
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveBigIntegerField(default=0, editable=False)),
                ("suspended_at", models.DateTimeField(editable=False, null=True)),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("allows_rotation", models.BooleanField(default=False)),
                ("reason", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "verbose_name": "setting for new credentials",
                "verbose_name_plural": "new credentials",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_issuing_state")],
            },
        ),
    ]
