"""Many who check at once: threads that need the same answer ask once, and an absent portal holds up one of them."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keyportal_client import CredentialRefusedError, Verifier
from tests.clients.stub import Received, Reply, problem
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.samples import KEY
from tests.clients.verifying.scripted import VERIFY, ScriptedPortal, clock, scripted, verifier, warm
from tests.waiting import DEADLINE, wait_until

__all__ = ["clock", "scripted", "verifier"]

pytestmark = pytest.mark.once

THREADS = 6


class Held:
    """Holds back what the portal answers to questions, until it is let go."""

    def __init__(self, portal: ScriptedPortal) -> None:
        self.portal = portal
        self.go = threading.Event()
        self.waiting = 0
        portal.stub.answer = self

    def __call__(self, request: Received) -> Reply:
        if request.path == VERIFY:
            self.waiting += 1
            self.go.wait(DEADLINE)
        return self.portal(request)


def code_of(check: Callable[[], object]) -> str:
    try:
        check()
    except CredentialRefusedError as error:
        return error.refusal.code
    return "ok"


def waiting_in(verifier: Verifier) -> int:
    """Return how many wait for the answer to somebody else's question."""
    flights: Iterable[Any] = verifier._state.verdicts._flights._flights.values()
    return sum(len(flight._condition._waiters) for flight in flights)


def test_who_misses_the_same_credential_at_once_asks_once(scripted: ScriptedPortal, verifier: Verifier) -> None:
    secret, held = scripted.new_key(), Held(scripted)
    with ThreadPoolExecutor(THREADS) as pool:
        found = [pool.submit(code_of, lambda: verifier.verify(secret))]
        wait_until(lambda: held.waiting)
        found += [pool.submit(code_of, lambda: verifier.verify(secret)) for _ in range(THREADS - 2)]
        found.append(pool.submit(code_of, lambda: verifier.verify(secret, scopes=("more",))))
        wait_until(lambda: waiting_in(verifier) == THREADS - 1)
        held.go.set()
    verifier.close()
    codes = [each.result() for each in found]
    assert (codes.count("ok"), codes[-1]) == (THREADS - 1, "insufficient_scope")
    assert len(scripted.asked) == 1
    assert sum(scripted.counted().values()) == THREADS - 1


def test_who_waits_for_an_answer_that_does_not_come_need_not_ask_too(
    scripted: ScriptedPortal, verifier: Verifier
) -> None:
    secret, held = scripted.new_key(), Held(scripted)
    scripted.instead[VERIFY] = problem(503, "unavailable")
    with ThreadPoolExecutor(THREADS) as pool:
        found = [pool.submit(code_of, lambda: verifier.verify(secret)) for _ in range(THREADS)]
        wait_until(lambda: waiting_in(verifier) == THREADS - 1)
        held.go.set()
    assert ({each.result() for each in found}, held.waiting) == ({"unavailable"}, 1)


def test_an_answer_that_took_long_is_nobody_elses(scripted: ScriptedPortal, verifier: Verifier, clock: Clock) -> None:
    secret, held = scripted.new_key(), Held(scripted)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(verifier.verify, secret) for _ in range(2)]
        wait_until(lambda: waiting_in(verifier) == 1)
        clock.pass_by(1)
        held.go.set()
    assert {each.result().id for each in found} == {KEY}
    assert len(scripted.asked) == 2


def test_a_credential_whose_calls_are_counted_there_is_asked_about_by_each(
    scripted: ScriptedPortal, verifier: Verifier
) -> None:
    secret, held = scripted.new_key(asks_each_time=True), Held(scripted)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(verifier.verify, secret) for _ in range(2)]
        wait_until(lambda: waiting_in(verifier) == 1)
        held.go.set()
    assert {each.result().id for each in found} == {KEY}
    assert len(scripted.asked) == 2


def test_whose_calls_are_counted_there_waits_for_nobody_once_that_is_known(
    scripted: ScriptedPortal, verifier: Verifier
) -> None:
    secret = scripted.new_key(asks_each_time=True)
    verifier.verify(secret)
    warm(verifier)
    held = Held(scripted)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(verifier.verify, secret) for _ in range(2)]
        wait_until(lambda: held.waiting == 2)
        held.go.set()
    verifier.close()
    assert ({each.result().id for each in found}, len(scripted.asked), scripted.counted()) == ({KEY}, 3, {})


def test_a_portal_that_answers_nobody_holds_up_one_at_a_time(
    scripted: ScriptedPortal, verifier: Verifier, clock: Clock
) -> None:
    scripted.instead[VERIFY] = Reply(0)
    assert code_of(lambda: verifier.verify(scripted.new_key())) == "unavailable"
    clock.pass_by(1)
    held = Held(scripted)
    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(code_of, lambda: verifier.verify(scripted.new_key()))
        wait_until(lambda: held.waiting)
        for _ in range(THREADS):
            assert code_of(lambda: verifier.verify(scripted.new_key())) == "unavailable"
        del scripted.instead[VERIFY]
        held.go.set()
        assert (probe.result(), held.waiting) == ("ok", 1)
    assert code_of(lambda: verifier.verify(scripted.new_key())) == "ok"
