"""A verifier at the end of a process, and in the child of a fork."""

import gc
import subprocess
import sys

import pytest

from keyportal_client import Verifier
from keyportal_client.verifying.feed import Feed
from tests.clients.stub import problem
from tests.clients.verifying.samples import KEY
from tests.clients.verifying.scripted import SERVICE_KEY, USAGE, VERIFY, ScriptedPortal, scripted
from tests.portal import ROOT
from tests.waiting import DEADLINE

__all__ = ["scripted"]

pytestmark = pytest.mark.once


def run(portal: ScriptedPortal, what: str, secret: str, *, logs: str = "") -> list[str]:
    """Run the service and return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.clients.verifying.program", what, secret],
        env={
            "PYTHONPATH": f"{ROOT / 'clients/python'}:{ROOT}",
            "KEYPORTAL_PORTAL": portal.url,
            "KEYPORTAL_KEY": SERVICE_KEY,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    assert logs in ended.stderr
    assert bool(logs) == bool(ended.stderr)
    return ended.stdout.splitlines()


def test_the_last_counts_are_sent_at_the_end_of_the_program(scripted: ScriptedPortal) -> None:
    run(scripted, "end", scripted.new_key())
    assert (len(scripted.asked), scripted.counted()) == (1, {"accepted": 1})


def test_a_program_ends_although_its_counts_are_not_taken(scripted: ScriptedPortal) -> None:
    scripted.instead[USAGE] = problem(503, "unavailable")
    run(scripted, "end", scripted.new_key(), logs="status 503")
    assert scripted.counted() == {}


def test_a_verifier_that_is_garbage_ends_without_a_wait(
    scripted: ScriptedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be an event loop's thread that finds it is."""
    joined: list[float] = []
    monkeypatch.setattr(Feed, "join", lambda feed, within: joined.append(within))
    verifier = Verifier(scripted.url, key=SERVICE_KEY)
    verifier.verify(scripted.new_key())
    thread = verifier._state.feed._thread
    assert thread
    del verifier
    gc.collect()
    monkeypatch.undo()
    thread.join(DEADLINE)
    assert (thread.is_alive(), joined) == (False, [])


def test_a_child_knows_nothing_of_its_parents_and_counts_its_own_calls(scripted: ScriptedPortal) -> None:
    child, parent = run(scripted, "fork", scripted.new_key())
    assert (child, parent) == ("child 1", f"parent {KEY} 0")
    assert scripted.requests(VERIFY) == 2
    assert scripted.counted() == {"accepted": 1 + 2 + 1}


def test_a_verifier_that_was_made_before_a_fork_works_in_both(scripted: ScriptedPortal) -> None:
    child, parent = run(scripted, "fork-cold", scripted.new_key())
    assert (child, parent) == ("child 1", f"parent {KEY} 0")
    assert len(scripted.asked) == 2
    assert scripted.counted() == {"accepted": 2}
