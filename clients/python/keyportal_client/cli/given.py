"""What the portal says of an item of a list, with the item. The portal names its place: it quotes no request."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from keyportal_client.cli.exit_status import StoppedError
from keyportal_client.cli.failures import option_of
from keyportal_client.cli.inert import inert
from keyportal_client.errors import Fault, RefusedError

_NUMBERS: Final = re.compile(r"\bnumber ([0-9]{1,4}(?:(?:, | and |, and )[0-9]{1,4})*) of these\b", re.ASCII)
"""Places from 1, of scopes that are not in the catalogue."""
_INDEX: Final = re.compile(r"\b(?:the network of )?index ([0-9]{1,4})\b", re.ASCII)
"""A place from 0, of another network."""


class Given(NamedTuple):
    """An item of a list that is sent."""

    value: str
    option: str = ""
    """The option that it came from; empty for what the key had before."""


def given(option: str, values: Iterable[str]) -> list[Given]:
    """Return the values of an option, each with it."""
    return [Given(value, option) for value in values]


@contextmanager
def naming(**lists: Sequence[Given]) -> Iterator[None]:
    """Have a refusal name the option that was used, and the item itself. Raises `StoppedError` instead."""
    try:
        yield
    except RefusedError as error:
        if not any(_member(fault) in lists for fault in error.faults):
            raise
        said = " ".join(_said(fault, lists.get(_member(fault), ())) for fault in _faults(error))
        raise StoppedError(said) from error


def _faults(error: RefusedError) -> Sequence[Fault]:
    """Return what is wrong, with the scopes that the portal names beside it."""
    if not error.scopes:
        return error.faults
    detail = f"The key that you use lacks {' and '.join(error.scopes)}, so it can't give that to another key."
    return [fault._replace(detail=detail) for fault in error.faults]


def _member(fault: Fault) -> str:
    return fault.pointer.strip("/").partition("/")[0]


def _said(fault: Fault, items: Sequence[Given]) -> str:
    if (numbers := _NUMBERS.search(fault.detail)) and (found := _items(items, re.findall("[0-9]+", numbers[1]), 1)):
        verb = "is" if len(found) == 1 else "are"
        names = " and ".join(inert(item.value) for item in found)
        return f"{_option(fault, found)}: {names} {verb} not in the portal's catalogue of scopes."
    detail = _INDEX.sub(lambda match: _value(items, match), inert(fault.detail))
    if found := _items(items, [fault.pointer.rpartition("/")[2]], 0):
        return f"{_option(fault, found)} {inert(found[0].value)}: {detail}"
    return f"{_option(fault, items)}: {detail}"


def _items(items: Sequence[Given], places: Sequence[str], first: int) -> list[Given]:
    """Return the items at these places, which count from `first`; none if one of them is not there."""
    wanted = [int(place) - first for place in places if place.isascii() and place.isdecimal()]
    return [items[place] for place in wanted] if all(0 <= place < len(items) for place in wanted) else []


def _value(items: Sequence[Given], match: re.Match[str]) -> str:
    found = _items(items, [match[1]], 0)
    return inert(found[0].value) if found else match[0]


def _option(fault: Fault, items: Sequence[Given]) -> str:
    """Return the option that these items came from; the member, if it can't be told which one."""
    options = {item.option for item in items if item.option}
    if len(options) == 1:
        return options.pop()
    return inert(_member(fault) if items else option_of(fault.pointer))
