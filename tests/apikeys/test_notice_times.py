"""When which notice is due, by the times alone."""

from datetime import UTC, datetime, timedelta

import pytest

from apikeys.notice_emails import time_until
from apikeys.notice_times import (
    NoticeKind,
    due_expiry_notice,
    lead_of_overlap,
    next_expiry_notice,
    next_overlap_notice,
)

pytestmark = pytest.mark.once
DAY, HOUR, MOMENT = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
NOW = datetime(2031, 1, 1, tzinfo=UTC)
EXPIRY = NOW + 60 * DAY
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "days_before"),
    [
        (NOW, 30),
        (EXPIRY - 30 * DAY - MOMENT, 30),
        (EXPIRY - 30 * DAY, 7),
        (EXPIRY - 10 * DAY, 7),
        (EXPIRY - 7 * DAY, 1),
        (EXPIRY - DAY, None),
        (EXPIRY, None),
        (EXPIRY + DAY, None),
    ],
)
def test_the_next_notice_is_the_first_after_a_moment(after: datetime, days_before: int | None) -> None:
    expected = None if days_before is None else EXPIRY - days_before * DAY
    assert next_expiry_notice(EXPIRY, after=after) == expected


@pytest.mark.parametrize(
    ("left", "lived", "kind"),
    [
        (30 * DAY + MOMENT, 100 * DAY, None),
        (30 * DAY, 100 * DAY, NoticeKind.EXPIRES_30),
        (7 * DAY + MOMENT, 100 * DAY, NoticeKind.EXPIRES_30),
        (7 * DAY, 100 * DAY, NoticeKind.EXPIRES_7),
        (DAY, 100 * DAY, NoticeKind.EXPIRES_1),
        (MOMENT, 100 * DAY, NoticeKind.EXPIRES_1),
        (timedelta(0), 100 * DAY, None),
        (-DAY, 100 * DAY, None),
        (9 * DAY, DAY, None),  # a key for ten days: nothing is new thirty days before
        (7 * DAY, 3 * DAY, NoticeKind.EXPIRES_7),
        (7 * DAY, timedelta(0), None),
        (12 * HOUR, 4 * HOUR, None),
    ],
)
def test_the_newest_notice_is_due_unless_the_key_is_younger(
    left: timedelta, lived: timedelta, kind: NoticeKind | None
) -> None:
    assert due_expiry_notice(NOW + left, created_at=NOW - lived, now=NOW) == kind


def test_no_notice_is_due_about_a_key_that_never_expires() -> None:
    assert next_expiry_notice(None, after=NOW) is None
    assert due_expiry_notice(None, created_at=NOW, now=NOW) is None


@pytest.mark.parametrize("expires_at", [FIRST, LAST])
@pytest.mark.parametrize("created_at", [FIRST, LAST])
def test_the_ends_of_the_calendar_are_times_like_others(expires_at: datetime, created_at: datetime) -> None:
    notice_at = next_expiry_notice(expires_at, after=created_at)
    assert notice_at == (LAST - 30 * DAY if created_at < expires_at else None)
    assert due_expiry_notice(expires_at, created_at=created_at, now=NOW) is None


@pytest.mark.parametrize(
    ("overlap", "lead"),
    [
        (HOUR, None),
        (6 * HOUR - MOMENT, None),
        (6 * HOUR, 2 * HOUR),
        (24 * HOUR, 2 * HOUR),
        (2 * DAY, 2 * HOUR),
        (2 * DAY + MOMENT, DAY),
        (90 * DAY, DAY),
    ],
)
def test_the_lead_follows_the_length_of_the_overlap(overlap: timedelta, lead: timedelta | None) -> None:
    assert lead_of_overlap(overlap) == lead
    end = NOW + overlap
    notices = [next_overlap_notice(NOW, end, after=after) for after in (NOW, end - (lead or DAY), end)]
    assert notices == ([end - lead, end, None] if lead else [None, None, None])


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (30 * DAY, "in 30 days"),
        (30 * DAY - 10 * HOUR, "in 30 days"),
        (7 * DAY - 11 * HOUR, "in 7 days"),
        (7 * DAY - 13 * HOUR, "in 6 days"),
        (47 * HOUR, "in 47 hours"),
        (24 * HOUR - timedelta(minutes=10), "in 24 hours"),
        (HOUR, "in 1 hour"),
        (timedelta(minutes=20), "in less than an hour"),
    ],
)
def test_the_time_that_is_left_is_rounded(left: timedelta, words: str) -> None:
    assert time_until(NOW + left, NOW) == words
