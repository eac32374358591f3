"""The notices to a key's owner: what ends when, how much it is used, and what to do."""

from datetime import datetime, timedelta
from typing import Final

from accounts.link_mail import absolute
from apikeys.emails import queue_message
from apikeys.models import APIKey, KeySecret
from apikeys.notice_usage import NoticeUsage

HOURS_PER_DAY: Final = 24


def send_key_expires(key: APIKey, usage: NoticeUsage, *, is_loud: bool, now: datetime) -> None:
    """Notify the owner that a key expires soon. `is_loud` means that it is in use and there is not much time left."""
    left = time_until(key.expires_at or now, now)
    subject = f"Action needed: key in use expires {left}" if is_loud else f"Key expires {left}"
    _queue("expires", subject, key, usage=usage, left=left, is_loud=is_loud)


def send_overlap_ends(secret: KeySecret, usage: NoticeUsage, *, now: datetime) -> None:
    """Notify the owner that a former secret, which is in use, retires soon."""
    left = time_until(secret.retires_at or now, now)
    subject = f"Former secret in use retires {left}"
    _queue("overlap_ends", subject, secret.key, usage=usage, left=left, former=secret)


def send_overlap_ended(secret: KeySecret, usage: NoticeUsage) -> None:
    """Notify the owner that a former secret was in use until it retired, so that calls are refused now."""
    subject = "Action needed: a secret in use has retired"
    _queue("overlap_ended", subject, secret.key, usage=usage, former=secret)


def _queue(what: str, subject: str, key: APIKey, **context: object) -> None:
    queue_message(what, subject, key, {**context, "preferences_url": absolute("account_emails")})


def time_until(at: datetime, now: datetime) -> str:
    """Return how far away a moment is, rounded, such as `in 30 days`, or `in 24 hours` in the last two days."""
    hours = round((at - now) / timedelta(hours=1))
    if hours < 1:
        return "in less than an hour"
    days = round(hours / HOURS_PER_DAY)
    number, unit = (hours, "hour") if hours < 2 * HOURS_PER_DAY else (days, "day")
    return f"in {number} {unit}{'' if number == 1 else 's'}"
