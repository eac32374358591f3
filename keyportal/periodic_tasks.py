"""What each worker does regularly in its background thread, besides answering requests."""

from audit.chain import LINK_INTERVAL, extend_when_due
from credentials.background import TASKS, PeriodicTask
from keyportal.metrics.worker_files import worker_files
from keyportal.purge import CHECK_EVERY, purge_when_due


def add_periodic_tasks() -> None:
    """Add the portal's tasks to the one that writes usage. Only server processes have them."""
    TASKS.extend(
        (
            PeriodicTask(lambda: worker_files().write_snapshot(), at_exit=True, uses_database=False),
            PeriodicTask(purge_when_due, every=CHECK_EVERY),
            PeriodicTask(extend_when_due, every=LINK_INTERVAL),
        )
    )
