"""The list of edits that some test must notice fits the code as it is; `make mutants` tries them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import Mutant, mutants
from tests.portal import ROOT
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_an_edit_can_be_made_and_its_tests_are_there(mutant: Mutant) -> None:
    assert mutant.fault() == ""
    assert len(mutant.why) > 10
    assert mutant.database in ("sqlite", "postgresql")
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("[")[0].partition("::")  # one set of its arguments may be named
        assert (ROOT / file).is_file(), test
        assert re.search(rf"^def {name or 'test_'}", (ROOT / file).read_text(), re.MULTILINE), test


def test_the_arguments_that_are_named_are_there() -> None:
    named = {test for mutant in mutants() for test in mutant.tests if "[" in test}
    files = sorted({test.partition("::")[0] for test in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    # With the address of a PostgreSQL nothing is left out for want of one; nobody asks it.
    env = {**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1/nothing", "KEYPORTAL_TEST_WITHOUT": ""}
    collected = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=DEADLINE)
    assert named - set(collected.stdout.splitlines()) == set()


def test_every_edit_has_a_name_of_its_own() -> None:
    names = [mutant.name for mutant in mutants()]
    assert len(set(names)) == len(names) > 100


def test_an_edit_that_can_not_be_made_is_a_fault(tmp_path: Path) -> None:
    fits = Mutant(name="x", file="vault/errors.py", there="Root of every error", becomes="x", tests=("x",), why="x")
    assert fits.fault() == ""
    for there, becomes, says in (
        ("no such text", "x", "0 times"),
        ("Error", "x", "times in vault/errors.py"),
        ("Root of every error", "Root of every error", "changes nothing"),
    ):
        changed = Mutant(name="x", file="vault/errors.py", there=there, becomes=becomes, tests=("x",), why="x")
        assert says in changed.fault()
    assert "0 times" in Mutant(name="x", file="no/file.py", there="a", becomes="b", tests=("x",), why="x").fault()


def test_an_edit_is_taken_back(tmp_path: Path) -> None:
    mutant = Mutant(name="x", file="one.py", there="good", becomes="bad", tests=("x",), why="x")
    (tmp_path / "one.py").write_text("all is good\n")
    with mutant.applied(tmp_path):
        assert (tmp_path / "one.py").read_text() == "all is bad\n"
    assert (tmp_path / "one.py").read_text() == "all is good\n"
