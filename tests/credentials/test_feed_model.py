"""No verifier judges by a record for two seconds after it was changed, whatever happens in between.

A state machine plays commits, polls, questions, restarts, lost notifications and answers, and time, in any order
(`tests.credentials.feed_world`); after each step everything is judged. docs/change-feed.md has the proof.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.credentials.feed_world import KEYS, TIME, World, made_up_time

pytestmark = [pytest.mark.once, pytest.mark.sweep, pytest.mark.finding("H14")]

WORKERS = st.integers(0, 1)
VERIFIERS = st.integers(0, 1)
STEPS = (0.0, 0.001, 0.25, 0.5, 0.9, 1.4, 1.999, 2.5)


class Machine(RuleBasedStateMachine):
    """What can happen."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        for worker in self.world.workers:
            worker.connect()
        self.world.settle()

    @rule(
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3), lost_by=st.sampled_from([(), (), (), (0,), (1,)])
    )
    def commit(self, keys: list[str], lost_by: tuple[int, ...]) -> None:
        self.world.database.commit(keys, lost_by=lost_by)

    @rule(commits=st.integers(1, 3))
    def restore(self, commits: int) -> None:
        self.world.database.restore(commits)

    @rule(commits=st.integers(1, 3))
    def go_back_without_a_start(self, commits: int) -> None:
        self.world.database.go_back_without_a_start(commits)

    @rule(key=st.sampled_from(KEYS))
    def change_without_triggers(self, key: str) -> None:
        self.world.database.change_without_triggers(key)

    @rule(quarters=st.integers(1, 9), through=st.sampled_from([(0, 1), (0, 1), (0,), (1,)]))
    def pass_as_usual(self, quarters: int, through: tuple[int, ...]) -> None:
        """Let time pass while everything works, or one of the workers does."""
        for _ in range(quarters):
            self.world.pass_quarter(through)
            self.world.check()

    @rule(seconds=st.sampled_from([0.001, 0.25, 0.5, 0.9, 1.4, 1.999]))
    def wait(self, seconds: float) -> None:
        """Let time pass while nothing arrives anywhere."""
        TIME.now += seconds

    @rule(place=WORKERS)
    def restart(self, place: int) -> None:
        self.world.workers[place].connect()

    @rule(place=WORKERS)
    def beat(self, place: int) -> None:
        self.world.workers[place].beat()

    @rule(place=WORKERS, amount=st.sampled_from([1, 2, 3, 1000]))
    def receive(self, place: int, amount: int) -> None:
        self.world.workers[place].receive(amount)

    @rule(verifier=VERIFIERS)
    def begin_poll(self, verifier: int) -> None:
        self.world.begin_poll(self.world.verifiers[verifier])

    @rule(verifier=VERIFIERS, place=WORKERS, is_late=st.booleans())
    def poll(self, verifier: int, place: int, is_late: bool) -> None:
        polling = self.world.verifiers[verifier]
        self.world.begin_poll(polling)
        self.world.answer_poll(polling, self.world.workers[place])
        if not is_late:
            self.world.end_poll(polling, is_lost=False)

    @rule(verifier=VERIFIERS, is_lost=st.booleans())
    def end_poll(self, verifier: int, is_lost: bool) -> None:
        self.world.end_poll(self.world.verifiers[verifier], is_lost=is_lost)

    @rule(
        verifier=VERIFIERS,
        place=WORKERS,
        keys=st.sampled_from([KEYS, *((key,) for key in KEYS)]),
        progress=st.integers(1, 3),
    )
    def ask(self, verifier: int, place: int, keys: tuple[str, ...], progress: int) -> None:
        """Ask about keys; the worker has yet to look, the answers have yet to arrive, or they are there."""
        asking = self.world.verifiers[verifier]
        for key in keys:
            self.world.begin_ask(asking, self.world.workers[place], key)
            if progress > 1:
                self.world.look_up(asking.asks[-1])
            if progress > 2:
                self.world.end_ask(asking, place=-1)

    @rule(verifier=VERIFIERS, place=st.integers(0, 5))
    def end_ask(self, verifier: int, place: int) -> None:
        asks = self.world.verifiers[verifier].asks
        if asks:
            place %= len(asks)
            self.world.look_up(asks[place])
            self.world.end_ask(self.world.verifiers[verifier], place=place)

    @invariant()
    def nobody_judges_by_what_is_too_old(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """See that everybody can judge again once everything works."""
        self.world.settle()
        for verifier in self.world.verifiers:
            assert all(verifier.store.get(verifier.store.digest(key)) for key in KEYS)


def test_nobody_judges_by_a_record_for_long_after_it_was_changed() -> None:
    usual = settings(max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    with made_up_time():
        run_state_machine_as_test(Machine, settings=usual)
