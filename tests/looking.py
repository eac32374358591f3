"""A look at the triggers, as a heartbeat takes it, over Django's connection: what a test changed there is seen too."""

from django.db import connection

from credentials.verified_cache.trigger_health import HEARTBEAT_QUERY, DatabaseState


def look() -> DatabaseState:
    """Return what a heartbeat would see now."""
    with connection.cursor() as cursor:
        cursor.execute(HEARTBEAT_QUERY.replace("$1", "'of_a_test'").replace("$2", "'x'"))
        return DatabaseState.of_row([None if value is None else str(value) for value in cursor.fetchone()])
