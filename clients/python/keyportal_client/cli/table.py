"""Tables that fit the terminal."""

import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from keyportal_client.cli.inert import cut, inert, width
from keyportal_client.cli.output import emit, heading

GAP: Final = "  "
NARROWEST: Final = 12
"""Columns that a cell keeps when it is cut."""


class Column(NamedTuple):
    """A column. The first ones matter most: a narrow terminal leaves out the last."""

    title: str
    can_be_cut: bool = False
    style: Callable[[str, str], str] | None = None
    """Takes a cell's text, and what is shown of it."""


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> None:
    """Write a table to standard output; cut to the terminal's width if it is one.

    A note follows its row on the same line and is never cut: the terminal wraps it.
    """
    cells = [[inert(cell) for cell in row] for row in rows]
    widths = [max(map(width, (column.title, *values))) for column, *values in zip(columns, *cells, strict=True)]
    if sys.stdout.isatty():
        widths = _fitted(columns, widths, shutil.get_terminal_size().columns)
    emit(heading(_line([column.title for column in columns], widths).rstrip()))
    styles = [column.style for column in columns]
    for row, shown, note in zip(rows, cells, notes or [""] * len(rows), strict=True):
        line = _line(shown, widths, [_style(style, cell) for style, cell in zip(styles, row, strict=True)])
        emit(f"{line}{GAP}{inert(note)}".rstrip())


def show_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Write names and values to standard output, one a line."""
    widest = max(len(name) for name, _ in fields)
    for name, value in fields:
        emit(f"{name:<{widest}}{GAP}{inert(value)}".rstrip())


def _fitted(columns: Sequence[Column], natural: Sequence[int], available: int) -> list[int]:
    """Return the widths that fit, for as many of the first columns as have room."""
    widths = list(natural)
    while len(widths) > 1 and _total(_narrowed(columns, widths, available)) > available:
        widths.pop()
    return _narrowed(columns, widths, available)


def _narrowed(columns: Sequence[Column], natural: Sequence[int], available: int) -> list[int]:
    widths = list(natural)
    while _total(widths) > available:
        cuttable = [place for place, wide in enumerate(widths) if columns[place].can_be_cut and wide > NARROWEST]
        if not cuttable:
            break
        widths[max(cuttable, key=widths.__getitem__)] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _style(style: Callable[[str, str], str] | None, text: str) -> Callable[[str], str]:
    return (lambda shown: style(text, shown)) if style is not None else str


def _line(cells: Sequence[str], widths: Sequence[int], styles: Sequence[Callable[[str], str]] = ()) -> str:
    fitting = [cut(cell, wide) for cell, wide in zip(cells, widths, strict=False)]
    padding = [" " * (wide - width(cell)) for cell, wide in zip(fitting, widths, strict=True)]
    styled = [style(cell) for style, cell in zip(styles, fitting, strict=False)] if styles else fitting
    return GAP.join(cell + pad for cell, pad in zip(styled, padding, strict=True))
