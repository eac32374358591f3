"""Limits on attempts: how they count, for whom, and when they let go. On a clock that the test moves."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.attempts import FIRST_DELAY, MAX_DELAY, TooManyAttemptsError
from accounts.models import AttemptWindow
from accounts.places import address_bucket
from tests.accounts.small_limits import DELAY, EDGE, LIMIT, small

__all__ = ["small"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H13")]


def test_a_limit_lets_its_amount_through_and_says_how_long_to_wait(time_machine: Any) -> None:
    assert [LIMIT.hit("me") for _ in range(4)] == [0] * 4
    wait = LIMIT.hit("me")
    assert LIMIT.hit("you") == 0
    time_machine.move_to(EDGE + timedelta(seconds=wait - 2), tick=False)
    assert LIMIT.hit("me") > 0
    time_machine.move_to(EDGE + timedelta(seconds=wait), tick=False)
    assert LIMIT.hit("me") == 0


def test_nobody_gets_the_amount_twice_around_the_edge_of_a_window(time_machine: Any) -> None:
    time_machine.move_to(EDGE + timedelta(seconds=59), tick=False)
    assert [LIMIT.hit("me") for _ in range(4)] == [0] * 4
    time_machine.move_to(EDGE + timedelta(seconds=61), tick=False)
    assert LIMIT.hit("me") > 0


def test_what_is_refused_prolongs_nothing(time_machine: Any) -> None:
    waits = [LIMIT.hit("me") for _ in range(200)]
    assert waits[4] == waits[-1]
    time_machine.move_to(EDGE + timedelta(seconds=waits[-1]), tick=False)
    assert LIMIT.hit("me") == 0


def test_an_attempt_that_was_no_guess_is_taken_back() -> None:
    for _ in range(20):
        assert LIMIT.hit("me") == 0
        LIMIT.refund("me")
    assert LIMIT.retry_after("me") == 0


def test_looking_counts_nothing() -> None:
    for _ in range(20):
        assert LIMIT.retry_after("me") == 0
    for _ in range(4):
        LIMIT.hit("me")
    assert LIMIT.retry_after("me") > 0


def test_a_limit_says_its_own_words() -> None:
    for _ in range(4):
        LIMIT.enforce("me")
    with pytest.raises(TooManyAttemptsError) as stopped:
        LIMIT.enforce("me")
    assert stopped.value.message == "Too many."
    assert stopped.value.retry_after > 0


def test_a_counter_is_pushed_out_by_nothing_and_goes_when_its_time_is_over() -> None:
    for _ in range(5):
        LIMIT.hit("victim")
    for number in range(300):
        LIMIT.hit(f"other {number}")
    assert LIMIT.hit("victim") > 0
    ends = set(AttemptWindow.objects.values_list("ends_at", flat=True))
    assert ends == {EDGE + timedelta(minutes=2)}


def test_whose_a_counter_is_can_not_be_read_from_it() -> None:
    LIMIT.hit("somebody@example.com")
    assert "somebody" not in str(list(AttemptWindow.objects.values()))


def test_a_delay_grows_and_has_an_end(time_machine: Any) -> None:
    now, waits = EDGE, []
    for _ in range(20):
        time_machine.move_to(now, tick=False)
        assert DELAY.hit("account") == 0
        waits.append(DELAY.hit("account"))
        now += timedelta(seconds=waits[-1])
    assert waits[0] == 0
    assert [round(wait, -1) for wait in waits[1:4]] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert max(waits) <= MAX_DELAY + 1


def test_what_comes_too_early_prolongs_no_delay(time_machine: Any) -> None:
    for _ in range(3):
        DELAY.hit("account")
    wait = DELAY.hit("account")
    for second in range(1, wait - 1):
        time_machine.move_to(EDGE + timedelta(seconds=second), tick=False)
        assert DELAY.hit("account") > 0
    time_machine.move_to(EDGE + timedelta(seconds=wait), tick=False)
    assert DELAY.hit("account") == 0


def test_a_delay_is_forgotten_after_a_quiet_hour(time_machine: Any) -> None:
    for _ in range(3):
        DELAY.hit("account")
    time_machine.move_to(EDGE + timedelta(hours=1, seconds=1), tick=False)
    assert [DELAY.hit("account") for _ in range(2)] == [0, 0]


def test_a_right_guess_takes_its_delay_along() -> None:
    for _ in range(3):
        DELAY.hit("account")
    DELAY.refund("account")
    assert DELAY.hit("account") == 0


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.7", "203.0.113.8", False),
        ("64:ff9b::203.0.113.7", "64:ff9b::203.0.113.8", False),
        ("64:ff9b::203.0.113.7", "203.0.113.7", True),
        ("64:ff9b::cb00:7107", "64:ff9b:0:0:0:0:cb00:7107", True),
        ("64:ff9b:0:0:0:1:cb00:7107", "203.0.113.7", False),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("", "203.0.113.8", False),
    ],
)
def test_one_customer_of_a_provider_is_one_address(one: str, other: str, alike: bool) -> None:
    assert (address_bucket(one) == address_bucket(other)) is alike
