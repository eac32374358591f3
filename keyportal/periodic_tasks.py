"""What each worker does regularly in its background thread, besides answering requests."""

from typing import Final

from apikeys.services.idempotency import destroy_used_answers
from apikeys.services.notices import send_due_notices
from audit.chain import LINK_INTERVAL, extend_when_due
from credentials.background import TASKS, PeriodicTask
from credentials.verified_cache.feed import change_feed
from keyportal.metrics.survey import SURVEY_EVERY, survey
from keyportal.metrics.worker_files import worker_files
from keyportal.purge import CHECK_EVERY, purge_when_due

NOTICES_EVERY: Final = 600
"""Seconds between two looks of a worker for notices that are due."""
NOTICE_BATCHES: Final = 20
"""How much of them a worker sends at a time, so that usage is written meanwhile."""
ANSWERS_EVERY: Final = 60
"""Seconds between two looks of a worker for answers to destroy, because their secret is shown once and was used."""


def add_periodic_tasks() -> None:
    """Add the portal's tasks to the one that writes usage. Only server processes have them."""
    TASKS.extend(
        (
            PeriodicTask("change_triggers", lambda: change_feed().check()),
            PeriodicTask("metrics_survey", lambda: survey().run(), every=SURVEY_EVERY),
            PeriodicTask("metrics", lambda: worker_files().write_snapshot(), at_exit=True, uses_database=False),
            PeriodicTask("purge", purge_when_due, every=CHECK_EVERY),
            PeriodicTask("audit_chain", extend_when_due, every=LINK_INTERVAL),
            PeriodicTask("used_answers", destroy_used_answers, every=ANSWERS_EVERY),
            PeriodicTask("notices", lambda: send_due_notices(batches=NOTICE_BATCHES), every=NOTICES_EVERY),
        )
    )
