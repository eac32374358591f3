"""The results of a benchmark: the lines of a table, and the measurements behind them."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line of a table: its number, what was compared, the result, and what it should be."""

    number: str
    what: str
    reached: str
    reach: str

    def line(self) -> str:
        """Return the row as a line of Markdown."""
        return f"| {self.number} | {self.what} | **{self.reached}** | {self.reach} |"


class Table(NamedTuple):
    """Rows that were measured together, and the measurements behind them."""

    title: str
    rows: list[Row]
    note: str = ""
    rates: Mapping[str, list[float]] = {}
    """Requests per second by variant, one figure per round."""

    def lines(self) -> list[str]:
        """Return the table as lines of Markdown."""
        page = [f"\n## {self.title}\n", *([self.note, ""] if self.note else [])]
        page += ["| row | what | reached (spread) | reach |", "|---|---|---|---|", *(row.line() for row in self.rows)]
        if self.rates:
            medians = {name: statistics.median(figures) for name, figures in self.rates.items()}
            page += ["\n| variant | requests/s, median |", "|---|---|"]
            page += [f"| {name} | {median:,.0f} |" for name, median in sorted(medians.items(), key=lambda at: -at[1])]
        return page


def spread(figures: Sequence[float]) -> str:
    """Return the median with the lowest and the highest figure."""
    return f"{statistics.median(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"


def percentile(figures: Sequence[float], part: float) -> float:
    """Return the figure below which `part` percent of the figures lie."""
    return sorted(figures)[min(len(figures) - 1, int(len(figures) * part / 100))]
