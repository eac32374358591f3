"""What the page of one key shows, beside what the key says of itself. Templates compute nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import User
from apikeys import usage
from apikeys.models import APIKey, KeySecret
from apikeys.pages.charts import Chart, chart_of
from apikeys.pages.key_status import KeyStatus
from apikeys.pages.policy_texts import policy_sentence
from apikeys.pages.timeline import TimelineEntry, timeline
from apikeys.pages.view_models import Option, options, row_of
from apikeys.services.policies import policy_of
from apikeys.services.secrets import may_reveal
from apikeys.usage import CallSeries, OutcomeCount, SecretUsage
from credentials.usage.models import SourceAddress

PERIODS: Final = (("hour", "48 hours"), ("day", "30 days"), ("quarter", "90 days"))
"""The periods of the chart, by their name in the address."""
QUARTER: Final = 90


class SecretRow(NamedTuple):
    """One secret on its key's page."""

    secret: KeySecret
    last_used_at: datetime | None
    can_be_revealed: bool
    recent: SecretUsage | None
    """How a former secret that still works was used lately; None for others."""


class UsageSection(NamedTuple):
    """The calls on a key's page."""

    chart: Chart
    periods: list[Option]
    was_used: bool
    """Whether there were calls in the last 30 days."""
    outcomes: list[OutcomeCount]
    source_addresses: QuerySet[SourceAddress]


class KeyPage(NamedTuple):
    """The page of one key."""

    key: APIKey
    status: KeyStatus
    usage: UsageSection
    secrets: list[SecretRow]
    """Those that work: one, or two during an overlap."""
    former_secrets: list[SecretRow]
    """Those that were retired, the newest first."""
    timeline: list[TimelineEntry]
    rate_limit: str
    policy: str
    """The policy's bounds in words; empty if there are none."""


def key_page(key: APIKey, owner: User, *, period: str) -> KeyPage:
    """Return the page of a key, with the calls of one of `PERIODS`; 30 days for any other text."""
    daily = usage.calls_by_day([key.pk])[key.pk]
    rows, policy = secret_rows(key), policy_of(key.environment)
    return KeyPage(
        key=key,
        status=row_of(key, owner, daily, {row.secret.pk: row.last_used_at for row in rows}).status,
        usage=_usage(key, daily, period),
        secrets=[row for row in rows if not row.secret.is_retired],
        former_secrets=[row for row in rows if row.secret.is_retired],
        timeline=timeline(key, owner),
        rate_limit=_rate_limit(key),
        policy=policy_sentence(policy),
    )


def secret_rows(key: APIKey) -> list[SecretRow]:
    """Return all secrets of a key, the newest first, with what was recorded of their use."""
    used_at, reveals = usage.last_uses([key.pk])[key.pk], may_reveal(policy_of(key.environment))
    return [_secret_row(key, secret, used_at, may_be_revealed=reveals) for secret in key.secrets.all()]


def _secret_row(
    key: APIKey, secret: KeySecret, used_at: Mapping[str, datetime | None], *, may_be_revealed: bool
) -> SecretRow:
    is_former = not (secret.is_current or secret.is_retired)
    return SecretRow(
        secret=secret,
        last_used_at=used_at.get(secret.pk),
        can_be_revealed=may_be_revealed and secret.can_be_revealed and not key.revoked_at,
        recent=usage.secret_usage(key.pk, secret.pk) if is_former else None,
    )


def _usage(key: APIKey, daily: CallSeries, period: str) -> UsageSection:
    calls = daily
    if period == "hour":
        calls = usage.calls_by_hour(key.pk)
    elif period == "quarter":
        calls = usage.calls_by_day([key.pk], days=QUARTER)[key.pk]
    chosen = period if period in dict(PERIODS) else "day"
    return UsageSection(
        chart=chart_of(calls),
        periods=options(PERIODS, chosen),
        was_used=daily.calls > 0,
        outcomes=usage.outcomes(key.pk, calls.since),
        source_addresses=usage.source_addresses(key.pk),
    )


def _rate_limit(key: APIKey) -> str:
    if key.rate_limit:
        return f"{key.rate_limit}, set by an operator"
    return settings.KEYPORTAL_RATE_LIMIT or "None"
