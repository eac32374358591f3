"""Sets of ids stored as ranges, because millions of events have few gaps."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

MAX_ID: Final = 2**62
"""The portal allocates no id beyond this, and so ignores a forged one near the end that would leave no room."""
Span = tuple[int, int]
"""The first and the last id of a range without a gap."""


@dataclass(frozen=True, slots=True)
class IdRanges:
    """A set of positive ids. Its text is `1-5 7 9-12`."""

    spans: tuple[Span, ...] = ()
    """In ascending order, not touching each other."""

    @classmethod
    def of(cls, ids: Iterable[int]) -> Self:
        """Return the set of these ids, which must be distinct and in ascending order."""
        return cls(tuple(_join((number, number) for number in ids)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the form that `str` gives. Raises ValueError for any other."""
        spans = [(int(first), int(last or first)) for first, _, last in (part.partition("-") for part in text.split())]
        read = cls(tuple(_join(spans)))
        if str(read) != text or any(first > last for first, last in read.spans):
            raise ValueError("no ascending ranges")
        return read

    @classmethod
    def union(cls, sets: "Iterable[IdRanges]") -> Self:
        """Return the union of the sets."""
        return cls(tuple(_join(sorted(span for ids in sets for span in ids.spans))))

    @property
    def last(self) -> int:
        """The highest id; 0 if there is none."""
        return self.spans[-1][1] if self.spans else 0

    def __str__(self) -> str:
        return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in self.spans)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.spans)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.spans, (number, number)) - 1
        return any(first <= number <= last for first, last in self.spans[max(at, 0) : at + 2])

    def __sub__(self, other: "IdRanges") -> "IdRanges":
        return IdRanges(tuple(_subtract(self.spans, other.spans)))


def _join(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the spans, joined where they touch or overlap. They must be ordered by their starts."""
    begun: Span | None = None
    for first, last in spans:
        if begun is not None and first <= begun[1] + 1:
            begun = (begun[0], max(begun[1], last))
            continue
        if begun is not None:
            yield begun
        begun = (first, last)
    if begun is not None:
        yield begun


def _subtract(spans: Iterable[Span], others: tuple[Span, ...]) -> Iterator[Span]:
    position = 0
    for span in spans:
        first, last = span
        while position < len(others) and others[position][1] < first:
            position += 1
        at = position
        while at < len(others) and others[at][0] <= last:
            if others[at][0] > first:
                yield first, others[at][0] - 1
            first = others[at][1] + 1
            at += 1
        if first <= last:
            yield first, last
