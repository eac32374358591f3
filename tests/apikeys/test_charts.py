"""How calls become bars, and what a chart says in words. No database: the calls are given."""

from datetime import UTC, datetime, timedelta

import pytest

from apikeys.pages.charts import HEIGHT, STEP, Chart, chart_of
from apikeys.usage import CallSeries, Interval, Unit

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def chart(*calls: tuple[int, int], unit: Unit = Unit.DAY) -> Chart:
    """Draw intervals of accepted and refused calls."""
    length = timedelta(days=1) if unit is Unit.DAY else timedelta(hours=1)
    intervals = [Interval(START + place * length, *counted) for place, counted in enumerate(calls)]
    return chart_of(CallSeries(unit, tuple(intervals)))


def test_the_busiest_interval_is_as_high_as_the_chart_and_the_others_in_proportion() -> None:
    drawn = chart((30, 10), (15, 5), (10, 0), (0, 10))
    assert [bar.height for bar in drawn.bars] == [HEIGHT, HEIGHT / 2, HEIGHT / 4, HEIGHT / 4]
    assert [bar.y for bar in drawn.bars] == [0, HEIGHT / 2, HEIGHT * 3 / 4, HEIGHT * 3 / 4]
    assert drawn.most == 40


def test_refused_calls_are_a_part_of_the_bar() -> None:
    drawn = chart((30, 10), (15, 5), (10, 0), (0, 10))
    assert [bar.refused_height for bar in drawn.bars] == [HEIGHT / 4, HEIGHT / 8, 0, HEIGHT / 4]


def test_a_single_call_among_thousands_can_be_seen() -> None:
    drawn = chart((1_000_000, 0), (1, 0), (0, 1), (999_999, 1))
    assert [bar.height for bar in drawn.bars] == [HEIGHT, 1, 1, HEIGHT]
    assert [bar.refused_height for bar in drawn.bars] == [0, 0, 1, 1]


def test_an_interval_without_calls_has_no_height() -> None:
    drawn = chart((0, 0), (0, 0))
    assert [(bar.height, bar.refused_height) for bar in drawn.bars] == [(0, 0), (0, 0)]
    assert (drawn.calls, drawn.most) == (0, 0)


def test_bars_stand_side_by_side_and_fill_the_chart() -> None:
    drawn = chart(*[(1, 0)] * 30)
    assert [bar.x for bar in drawn.bars] == [STEP * place for place in range(30)]
    assert drawn.width == 30 * STEP


@pytest.mark.parametrize(
    ("unit", "title", "since", "is_hourly"),
    [
        (Unit.DAY, "1 Mar 2026 UTC: 1200 accepted, 7 refused", "1 Mar UTC", False),
        (Unit.HOUR, "1 Mar 2026, 09:00 UTC: 1200 accepted, 7 refused", "1 Mar, 09:00 UTC", True),
    ],
)
def test_a_bar_says_its_time_and_its_calls(unit: Unit, title: str, since: str, is_hourly: bool) -> None:
    drawn = chart((1200, 7), (0, 0), unit=unit)
    assert (drawn.bars[0].title, drawn.since, drawn.is_hourly) == (title, since, is_hourly)


@pytest.mark.parametrize(
    ("calls", "unit", "label"),
    [
        ((0, 0), Unit.DAY, "0 calls in the last 2 days, 0 refused"),
        ((1, 0), Unit.DAY, "1 call in the last 2 days, 0 refused"),
        ((0, 1), Unit.HOUR, "1 call in the last 2 hours, 1 refused"),
        ((1234, 1000), Unit.HOUR, "2,234 calls in the last 2 hours, 1,000 refused"),
    ],
)
def test_the_text_alternative_says_how_many_calls_and_refusals(calls: tuple[int, int], unit: Unit, label: str) -> None:
    assert chart(calls, (0, 0), unit=unit).label == label
