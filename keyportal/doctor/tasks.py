"""What the workers do regularly: purge, notices, messages, the trail's chain. A portal without workers does none."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from accounts.models import PendingMessage
from accounts.pending import backlog
from apikeys.models import APIKey, KeySecret
from audit.models import ChainLink, Event
from audit.verify_trail import verify_trail
from integrity.hostile_rows import has_valid_seal, read_rows
from keyportal.doctor.findings import Finding, problem, warning
from keyportal.models import TaskRun
from keyportal.purge import PURGE

OVERDUE: Final = timedelta(hours=3)
"""A purge is due every hour, a look for notices every ten minutes."""
UNCHAINED: Final = timedelta(hours=1)
WAITED: Final = timedelta(minutes=5)
RECENT: Final = timedelta(days=1)
NEWEST: Final = 500  # events whose seals are checked without being asked to check all

PURGE_OVERDUE = warning(
    "purge_overdue",
    meaning="Expired rows stay, and the database grows. The portal purges a little every hour by itself.",
    advice="See that workers run, and look for `purge_failed` in their log. `python manage.py purge` does it at once.",
)
NOTICES_OVERDUE = warning(
    "notices_overdue",
    meaning="Owners don't hear that their keys expire or that former secrets retire.",
    advice="See that workers run, and look at their log. `python manage.py remind` sends what is due.",
)
MESSAGES_WAIT = problem(
    "messages_waiting",
    meaning="Users wait for links to confirm an address or set a password.",
    advice="Look for `messages are waiting` in the log: it names the reason. Nothing is lost for three days.",
)
MESSAGES_GIVEN_UP = warning(
    "messages_given_up",
    meaning="These messages will not arrive.",
    advice="Search the log for `mail_unsent`: it has the mail server's code. Users can ask for another link.",
)
CHAIN_BEHIND = problem(
    "chain_behind",
    meaning="If an event is removed now, nobody notices.",
    advice="See that workers run, and look for `the chain of the audit trail` in their log.",
)
TRAIL_TAMPERED = problem(
    "trail_tampered",
    meaning="Somebody has written to the database past the portal.",
    advice="Run `python manage.py verifyaudit`: it names the events. Find out who can write to the database.",
)
FUTURE = warning(
    "events_in_the_future",
    meaning="The clock of a host was or is ahead: what it wrote seems to come from a later time.",
    advice="Keep the clocks of all hosts in step with NTP. The purge removes counts of days that have not come.",
)


def examine() -> Iterator[Finding]:
    """Yield what is overdue. Raises `django.db.Error`."""
    yield from _purge()
    yield from _notices()
    yield from _messages()
    yield from _trail()


def examine_whole_trail() -> Iterator[Finding]:
    """Yield what does not fit in the whole trail. Reads all of it. Raises `django.db.Error`."""
    if not verify_trail().is_valid:
        yield TRAIL_TAMPERED.found("The audit trail is not as the portal wrote it.")


def _purge() -> Iterator[Finding]:
    run = TaskRun.objects.filter(task=PURGE).first()
    if run is None or run.finished_at is None:
        if run is None or run.started_at < timezone.now() - OVERDUE:
            yield PURGE_OVERDUE.found("No purge has ever ended well: no worker has run for long, or it fails.")
    elif run.finished_at < timezone.now() - OVERDUE:
        yield PURGE_OVERDUE.found(f"The last purge that ended well did so on {run.finished_at:%Y-%m-%d at %H:%M} UTC.")


def _notices() -> Iterator[Finding]:
    late = timezone.now() - OVERDUE
    count = sum(model._default_manager.filter(notice_at__lt=late).count() for model in (APIKey, KeySecret))
    if count:
        yield NOTICES_OVERDUE.found(f"{count} notices should have been sent hours ago.")


def _messages() -> Iterator[Finding]:
    waiting = backlog()
    if waiting.longest_wait > WAITED.total_seconds():
        minutes = int(waiting.longest_wait // 60)
        yield MESSAGES_WAIT.found(f"{waiting.waiting} messages wait for the mail server, one for {minutes} minutes.")
    given_up = PendingMessage.objects.filter(given_up_at__gt=timezone.now() - RECENT).count()
    if given_up:
        yield MESSAGES_GIVEN_UP.found(f"{given_up} messages were given up in the last day.")


def _trail() -> Iterator[Finding]:
    now = timezone.now()
    reach = ChainLink.objects.aggregate(reach=Max("reach"))["reach"] or 0
    if settings.KEYPORTAL_AUDIT_CHAIN and Event.objects.filter(pk__gt=reach, at__lt=now - UNCHAINED).exists():
        yield CHAIN_BEHIND.found("Events that are more than an hour old are in no link of the chain.")
    newest = read_rows(Event, downwards=True, at_most=NEWEST)
    if any(row is None or not has_valid_seal(row) for _, row in newest):
        yield TRAIL_TAMPERED.found(
            f"Among the newest {NEWEST} events of the trail are some that were altered or forged."
        )
    if Event.objects.filter(at__gt=now + timedelta(minutes=2)).exists():
        yield FUTURE.found("The trail has events from a later time than now.")
