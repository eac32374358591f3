"""Metrics of what the portal does regularly, of the purge, and of the audit trail."""

from typing import Final

from audit.event_counts import event_counts
from credentials.background import background
from keyportal.metrics.metric import Combine, Labels, counter, gauge
from keyportal.metrics.survey import seconds_since, survey

TASK: Final = ("task",)


def _ages() -> dict[Labels, float]:
    return {(name,): run.age for name, run in background().runs().items()}


def _durations() -> dict[Labels, float]:
    return {(name,): run.seconds for name, run in background().runs().items()}


def _failures() -> dict[Labels, int]:
    return {(name,): run.failures for name, run in background().runs().items()}


METRICS: Final = (
    gauge(
        "keyportal_task_age_seconds",
        says="Seconds since a task last ended well in the worst worker; before that, since the worker began.",
        advice="Far above the task's interval: look for “a periodic task failed” with the task's name in the log.",
        read=_ages,
        combine=Combine.MAX,
        labels=TASK,
    ),
    gauge(
        "keyportal_task_seconds",
        says="How long the last run of a task took.",
        advice="Near its interval: a slow database. The other tasks of the worker wait meanwhile.",
        read=_durations,
        combine=Combine.MAX,
        labels=TASK,
    ),
    counter(
        "keyportal_task_failures_total",
        says="Runs of a task that failed.",
        advice="Rising: the log has the reason. A single one is made up for by the next run.",
        read=_failures,
        labels=TASK,
    ),
    gauge(
        "keyportal_purge_age_seconds",
        says="Seconds since a purge last ended well, whoever ran it; absent before the first.",
        advice="Above two days: expired rows pile up. Run `manage.py purge` and look at what it says.",
        read=lambda: seconds_since(survey().purged_at),
        combine=Combine.MIN,
    ),
    gauge(
        "keyportal_audit_link_age_seconds",
        says="Seconds since the last link of the audit trail's chain. A trail without new events needs no new link.",
        advice="Old while events are recorded: look at the task `audit_chain`.",
        read=lambda: seconds_since(survey().linked_at),
        combine=Combine.MIN,
    ),
    counter(
        "keyportal_audit_events_total",
        says="Events that workers have recorded, by type: `key_created`, `key_revoked`, `login_failed` and all others.",
        advice="Many `login_failed`: somebody guesses passwords. `refresh_reuse`: a refresh token was stolen, or a "
        "client has a bug.",
        read=lambda: event_counts().by_labels(),
        labels=("event",),
    ),
)
