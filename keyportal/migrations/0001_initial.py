"""The last runs of tasks."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="TaskRun",
            fields=[
                ("task", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                ("by", models.CharField(max_length=20)),
                ("result", models.JSONField(default=dict)),
            ],
        ),
    ]
