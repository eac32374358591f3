"""The list of changes that nobody could notice fits the code as it is: `make mutants` does not count them."""

import re
import tomllib
from functools import cache
from typing import Any, Final

import pytest

from tests.survivors import EQUIVALENT, ROOT

pytestmark = pytest.mark.once
ENTRIES: Final[list[dict[str, Any]]] = tomllib.loads(EQUIVALENT.read_text())["equivalent"]


@cache
def lines() -> frozenset[str]:
    """Return every line of the files that mutmut changes, without the spaces around."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    files = [file for pattern in settings["only_mutate"] for file in ROOT.glob(pattern)]
    return frozenset(line.strip() for file in files if file.is_file() for line in file.read_text().splitlines())


@pytest.mark.parametrize("entry", ENTRIES, ids=range(len(ENTRIES)))
def test_a_change_is_of_lines_that_are_there_and_has_a_reason(entry: dict[str, Any]) -> None:
    assert entry.keys() == {"there", "becomes", "why"}
    assert set(entry["there"].splitlines()) <= lines()
    assert entry["becomes"] != entry["there"]
    assert re.fullmatch(r".{10,}", entry["why"])


def test_no_change_is_listed_twice() -> None:
    changes = [(entry["there"], entry["becomes"]) for entry in ENTRIES]
    assert len(set(changes)) == len(changes)
