"""A look at the triggers, as a heartbeat takes it, over Django's connection: what a test changed there is seen too."""

from django.db import connection

from credentials.verified_cache.trigger_health import LOOK, Look


def look() -> Look:
    """Return what a heartbeat would see now."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK.replace("$1", "'of_a_test'").replace("$2", "'x'"))
        return Look.of_row([None if value is None else str(value) for value in cursor.fetchone()])
