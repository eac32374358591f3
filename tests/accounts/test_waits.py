"""How long a limit on attempts lets wait, to the second, and what it keeps of an attempt: the clock stands still."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from accounts.attempts import AttemptLimit, TooManyAttemptsError
from accounts.models import AttemptWindow
from tests.accounts.small_limits import DELAY, EDGE, LIMIT, small

__all__ = ["small"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H13")]


@pytest.mark.parametrize(
    ("before", "now", "second", "wait"),
    [
        (0, 3, 0, 0),
        (0, 4, 0, 76),
        (0, 4, 30, 46),
        (4, 0, 0, 16),
        (4, 0, 14.9, 1),
        (4, 0, 15, 0),
        (4, 2, 30, 16),
        (2, 2, 0, 31),
        (1, 3, 0, 61),
        (1, 3, 59.5, 1),
        (4, 4, 0, 76),
    ],
)
def test_the_wait_is_the_least_after_which_the_sliding_window_has_room(
    time_machine: Any, before: int, now: int, second: float, wait: int
) -> None:
    for count, at in ((before, EDGE - timedelta(minutes=1)), (now, EDGE)):
        time_machine.move_to(at, tick=False)
        if count:
            LIMIT.hit("me")
            AttemptWindow.objects.order_by("ends_at").filter(ends_at=at + timedelta(minutes=2)).update(count=count)
    moment = EDGE + timedelta(seconds=second)
    time_machine.move_to(moment, tick=False)
    assert LIMIT.retry_after("me") == wait
    assert LIMIT.hit("me") == wait
    if wait:
        time_machine.move_to(moment + timedelta(seconds=wait - 1.01), tick=False)
        assert LIMIT.retry_after("me") > 0
        time_machine.move_to(moment + timedelta(seconds=wait), tick=False)
        assert LIMIT.hit("me") == 0


def rows() -> list[tuple[int, datetime, datetime | None]]:
    return [(row.count, row.ends_at, row.blocked_until) for row in AttemptWindow.objects.order_by("ends_at")]


def test_an_attempt_is_counted_in_the_window_of_its_time_until_the_end_of_the_next(time_machine: Any) -> None:
    for second in (0, 59.9, 60, 61):
        time_machine.move_to(EDGE + timedelta(seconds=second), tick=False)
        LIMIT.hit("me")
    ends = [EDGE + timedelta(minutes=minutes) for minutes in (2, 3)]
    assert rows() == [(2, ends[0], None), (2, ends[1], None)]
    LIMIT.refund("me")
    LIMIT.refund("you")
    assert rows() == [(2, ends[0], None), (1, ends[1], None)]
    for _ in range(3):
        LIMIT.refund("me")
    assert rows() == [(2, ends[0], None), (0, ends[1], None)]


def test_what_is_refused_is_not_counted() -> None:
    for _ in range(7):
        LIMIT.hit("me")
    assert rows() == [(4, EDGE + timedelta(minutes=2), None)]


def test_limits_and_keys_are_counted_apart() -> None:
    other = AttemptLimit("KEYPORTAL_LIMIT_LOGIN_ACCOUNT")
    for _ in range(4):
        LIMIT.hit("me")
    assert LIMIT.hit("me") > 0
    assert (LIMIT.hit("you"), other.hit("me"), DELAY.hit("me")) == (0, 0, 0)
    assert AttemptWindow.objects.count() == 4
    assert {len(pk) for pk in AttemptWindow.objects.values_list("pk", flat=True)} == {64}


def test_a_limit_that_is_no_setting_has_its_own_rate() -> None:
    limit = AttemptLimit("events of a test", fixed="2 per hour")
    assert [limit.hit("me") for _ in range(3)] == [0, 0, 3600 + 1800 + 1]


def test_a_setting_is_read_at_each_attempt(settings: Settings) -> None:
    for amount in (1, 2):
        settings.KEYPORTAL_LIMIT_SIGNUP = f"{amount} per minute"
        assert LIMIT.hit("me") == 0
        assert LIMIT.retry_after("me") > 0


def test_an_attempt_beyond_the_limit_raises_the_words_and_the_wait() -> None:
    for _ in range(4):
        LIMIT.enforce("me")
    with pytest.raises(TooManyAttemptsError) as stopped:
        LIMIT.enforce("me")
    assert (str(stopped.value), stopped.value.message, stopped.value.retry_after) == ("Too many.", "Too many.", 76)
    LIMIT.enforce("you")


def test_a_delay_doubles_with_each_attempt_up_to_a_quarter_of_an_hour(time_machine: Any) -> None:
    now, waits = EDGE, []
    for _ in range(11):
        time_machine.move_to(now, tick=False)
        assert DELAY.hit("me") == 0
        waits.append(DELAY.hit("me"))
        now += timedelta(seconds=max(0, waits[-1] - 1))  # to the very moment
    assert waits == [0, 31, 61, 121, 241, 481, 901, 901, 901, 901, 901]


def test_a_delay_keeps_the_count_its_end_and_until_when_it_blocks(time_machine: Any) -> None:
    hour = timedelta(hours=1)
    assert DELAY.hit("me") == 0
    assert rows() == [(1, EDGE + hour, None)]
    now = EDGE + timedelta(minutes=10)
    time_machine.move_to(now, tick=False)
    assert DELAY.hit("me") == 0
    assert DELAY.hit("me") == 0
    blocked_until = now + timedelta(seconds=30)
    assert rows() == [(3, now + hour, blocked_until)]
    time_machine.move_to(now + timedelta(seconds=29.5), tick=False)
    assert DELAY.hit("me") == 1
    assert rows() == [(3, now + hour, blocked_until)]  # what comes too early is not counted
    DELAY.refund("me")
    DELAY.refund("you")
    assert rows() == [(2, now + hour, None)]
    for _ in range(5):
        DELAY.refund("me")
    assert rows() == [(0, now + hour, None)]


@pytest.mark.parametrize(("second", "count"), [(3599.9, 3), (3600, 1)])
def test_a_delay_starts_over_after_an_hour_without_attempts(time_machine: Any, second: float, count: int) -> None:
    for _ in range(2):
        DELAY.hit("me")
    moment = EDGE + timedelta(seconds=second)
    time_machine.move_to(moment, tick=False)
    assert DELAY.hit("me") == 0
    blocked_until = moment + timedelta(seconds=30) if count == 3 else None
    assert rows() == [(count, moment + timedelta(hours=1), blocked_until)]
