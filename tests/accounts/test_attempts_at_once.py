"""Attempts at once: each is counted, whichever worker is first. On a clock that the test moves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.attempts import GrowingDelay
from accounts.models import AttemptWindow
from tests.accounts.small_limits import DELAY, LIMIT, small

__all__ = ["small"]

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H13")]

Overtake = Callable[[], None]


@pytest.fixture
def overtake(monkeypatch: pytest.MonkeyPatch) -> Overtake:
    """Let another worker count a guess between the next look at a delay's row and its count."""
    look, due = GrowingDelay._row, [False]

    def look_and_be_overtaken(delay: GrowingDelay, key: str, now: datetime) -> AttemptWindow:
        row = look(delay, key, now)
        if due[0]:
            due[0] = False
            assert DELAY.hit("account") == 0
        return row

    monkeypatch.setattr(GrowingDelay, "_row", look_and_be_overtaken)
    return lambda: due.__setitem__(0, True)


def test_of_several_guesses_at_once_one_is_counted_and_the_others_look_again(overtake: Overtake) -> None:
    for _ in range(2):
        assert DELAY.hit("account") == 0
    overtake()
    assert DELAY.hit("account") > 0


def test_two_guesses_at_the_same_instant_are_two(overtake: Overtake) -> None:
    overtake()
    assert DELAY.hit("account") == 0
    assert AttemptWindow.objects.get().count == 2


def test_two_guesses_that_both_begin_anew_are_two(overtake: Overtake, time_machine: Any) -> None:
    """The count stays 1 when the first of them begins anew, so that the end alone shows it."""
    assert DELAY.hit("account") == 0
    time_machine.shift(timedelta(hours=2))
    overtake()
    assert DELAY.hit("account") == 0
    assert AttemptWindow.objects.get().count == 2


def test_the_first_two_attempts_at_once_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker creates the row after this one has not found it."""
    assert LIMIT.hit("me") == 0
    find, looks = AttemptWindow.objects.filter, [AttemptWindow.objects.none()]
    monkeypatch.setattr(AttemptWindow.objects, "filter", lambda **wanted: looks.pop() if looks else find(**wanted))
    assert LIMIT.hit("me") == 0
    assert AttemptWindow.objects.get().count == 2
