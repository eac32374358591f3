"""What the page of one key shows, beside what the key says of itself. Templates compute nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.conf import settings

from accounts.models import User
from apikeys import usage
from apikeys.errors import TamperedPolicyError
from apikeys.models import APIKey, KeyPolicy, KeySecret
from apikeys.pages.charts import Chart, chart_of
from apikeys.pages.key_status import KeyStatus
from apikeys.pages.policy_texts import policy_sentence
from apikeys.pages.timeline import TimelineEntry, timeline
from apikeys.pages.view_models import Option, options, row_of
from apikeys.services.policies import policy_of
from apikeys.services.secrets import may_reveal
from apikeys.usage import CallSeries, OutcomeCount, SecretUsage, UsedFrom

PERIODS: Final = (("hour", "48 hours"), ("day", "30 days"), ("quarter", "90 days"))
"""The periods of the chart, by their name in the address."""
QUARTER: Final = 90
FORMER_SHOWN: Final = 20
"""The number of retired secrets that are listed, the newest."""


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
    source_addresses: list[UsedFrom]


class KeyPage(NamedTuple):
    """The page of one key."""

    key: APIKey
    status: KeyStatus
    usage: UsageSection
    secrets: list[SecretRow]
    """Those that work: one, or two during an overlap."""
    former_secrets: Sequence[KeySecret]
    """The newest ones that were retired, the newest first."""
    former_count: int
    """How many were retired."""
    only_newest: int
    """How many of those are listed, if not all; else 0."""
    timeline: list[TimelineEntry]
    rate_limit: str
    policy: str
    """The policy's bounds in words; empty if there are none."""


def key_page(key: APIKey, owner: User, *, period: str) -> KeyPage:
    """Return the page of a key, with the calls of one of `PERIODS`; 30 days for any other text."""
    daily = usage.calls_by_day([key.pk])[key.pk]
    policy, bounds = _policy(key)
    rows, retired = secret_rows(key, policy), KeySecret.objects.filter(key=key).retired()
    former_count = retired.count()
    return KeyPage(
        key=key,
        status=row_of(key, owner, daily, {row.secret.pk: row.last_used_at for row in rows}).status,
        usage=_usage(key, daily, period),
        secrets=rows,
        former_secrets=list(retired[:FORMER_SHOWN]),
        former_count=former_count,
        only_newest=FORMER_SHOWN if former_count > FORMER_SHOWN else 0,
        timeline=timeline(key, owner),
        rate_limit=_rate_limit(key),
        policy=bounds,
    )


def _policy(key: APIKey) -> tuple[KeyPolicy | None, str]:
    """Return the policy and its bounds in words; None with what is wrong: the key can be revoked all the same."""
    try:
        policy = policy_of(key.environment)
    except TamperedPolicyError as error:
        return None, str(error)
    return policy, policy_sentence(policy)


def secret_rows(key: APIKey, policy: KeyPolicy | None = None) -> list[SecretRow]:
    """Return the live secrets of a key, the newest first, with what was recorded of their use.

    They must be prefetched. Without a policy none can be revealed.
    """
    used_at, reveals = usage.last_uses([key.pk])[key.pk], policy is not None and may_reveal(policy)
    return [_secret_row(key, secret, used_at, may_be_revealed=reveals) for secret in key.secrets.all()]


def _secret_row(
    key: APIKey, secret: KeySecret, used_at: Mapping[str, datetime | None], *, may_be_revealed: bool
) -> SecretRow:
    return SecretRow(
        secret=secret,
        last_used_at=used_at.get(secret.pk),
        can_be_revealed=may_be_revealed and secret.can_be_revealed and not key.revoked_at,
        recent=usage.secret_usage(key.pk, secret.pk) if not secret.is_current else None,
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
    default: str = settings.KEYPORTAL_RATE_LIMIT
    return f"{default}, the portal's default" if default else "None"
