"""Draw a key's calls as bars: their places and heights, and what a chart says in words. Knows no database."""

from dataclasses import dataclass
from typing import Final

from accounts.times import TO_THE_MINUTE, in_words
from apikeys.usage import CallSeries, Interval, Unit

HEIGHT: Final = 24
"""The height of a chart in its own units. A bar is two units wide; a new one begins every `STEP` units."""
STEP: Final = 3
LEAST: Final = 1.0
"""The least height of a part with any calls, so that even a single call can be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of one day or hour, in the units of the chart."""

    title: str
    """When, and how many calls."""
    x: int
    height: float
    """The height for all calls; 0 if there are none."""
    refused_height: float
    """The height of the red part for refused calls, which is drawn on top."""

    @property
    def y(self) -> float:
        """The top of the bar, measured from the top of the chart."""
        return HEIGHT - self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The bars of a key's calls, oldest first, and what stands beside them."""

    bars: tuple[Bar, ...]
    width: int
    """The width in the units of the chart."""
    calls: int
    most: int
    """The number of calls in the busiest interval."""
    label: str
    """The text alternative of the chart."""
    since: str
    """The beginning of the chart, in words."""
    is_hourly: bool


def chart_of(series: CallSeries) -> Chart:
    """Return the chart of these calls."""
    most = max(interval.calls for interval in series.intervals)
    is_hourly = series.unit is Unit.HOUR
    return Chart(
        bars=tuple(_bar(place, interval, series.unit, most) for place, interval in enumerate(series.intervals)),
        width=len(series.intervals) * STEP,
        calls=series.calls,
        most=most,
        label=_label(series),
        since=in_words(series.since, "j M, H:i" if is_hourly else "j M"),
        is_hourly=is_hourly,
    )


def _bar(place: int, interval: Interval, unit: Unit, most: int) -> Bar:
    height, refused_height = (_height(calls, most) for calls in (interval.calls, interval.refused))
    return Bar(_title(interval, unit), place * STEP, height, refused_height)


def _height(calls: int, most: int) -> float:
    return round(max(LEAST, calls * HEIGHT / most), 2) if calls else 0.0


def _title(interval: Interval, unit: Unit) -> str:
    when = in_words(interval.at, TO_THE_MINUTE if unit is Unit.HOUR else "j M Y")
    return f"{when}: {interval.accepted} accepted, {interval.refused} refused"


def _label(series: CallSeries) -> str:
    calls = f"{series.calls:,} call{'' if series.calls == 1 else 's'}"
    return f"{calls} in the last {len(series.intervals)} {series.unit}s, {series.refused:,} refused"
