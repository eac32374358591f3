"""While nobody answers at the portal, one question at a time looks whether somebody does again."""

import logging

import pytest

from keyportal_client.errors import PortalAwayError
from keyportal_client.verifying.breaker import Breaker
from keyportal_client.verifying.fault_log import QUIET, FaultLog
from keyportal_client.verifying.health import PortalHealth
from tests.clients.verifying.clock import Clock

pytestmark = pytest.mark.once


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(now=clock)


def test_all_may_ask_while_the_portal_answers(breaker: Breaker) -> None:
    assert [breaker.wait(), breaker.wait(), breaker.is_open] == [0, 0, False]


def test_after_a_failure_nobody_asks_for_a_second_and_then_one(breaker: Breaker, clock: Clock) -> None:
    breaker.fail(1)
    assert (breaker.wait(), breaker.is_open) == (1, True)
    clock.pass_by(1)
    assert breaker.wait() == 0
    assert breaker.wait() > 0
    breaker.fail(1)
    assert breaker.wait() == 1
    clock.pass_by(1)
    assert breaker.wait() == 0
    breaker.succeed()
    assert [breaker.wait(), breaker.wait(), breaker.is_open] == [0, 0, False]


def test_failures_in_a_row_wait_longer_up_to_what_they_say(breaker: Breaker, clock: Clock) -> None:
    waits = []
    for _ in range(5):
        breaker.fail(5)
        waits.append(breaker.wait())
        clock.pass_by(waits[-1])
    assert waits == [1, 2, 4, 5, 5]


def test_those_who_were_on_their_way_count_as_one(breaker: Breaker, clock: Clock) -> None:
    for _ in range(10):
        breaker.fail(5)
    clock.pass_by(1)
    assert breaker.wait() == 0


def test_who_gives_up_lets_another_one_ask(breaker: Breaker, clock: Clock) -> None:
    breaker.fail(1)
    clock.pass_by(1)
    assert breaker.wait() == 0
    breaker.give_up()
    assert breaker.wait() == 0


def test_a_portal_that_says_no_at_once_is_there(clock: Clock) -> None:
    health = PortalHealth(now=clock)
    health.fail(PortalAwayError("Nobody answers.", pause=1))
    assert (health.wait(), health.is_away) == (1, True)
    health.fail(PortalAwayError("It is busy.", retry_after=30))
    assert (health.wait(), health.is_away) == (0, False)


def test_a_fault_is_logged_once_while_it_lasts_and_once_when_it_is_over(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    faults = FaultLog(now=clock)
    faults.succeed()
    for _ in range(3):
        faults.note("Nobody answers.")
        faults.note("The key is refused.")
        clock.pass_by(QUIET - 1)
        faults.succeed()
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert [record.args for record in caplog.records] == [("Nobody answers.",), ("The key is refused.",)]
    clock.pass_by(1)
    faults.note("The key is refused.")
    faults.succeed()
    faults.succeed()
    assert [record.getMessage() for record in caplog.records[2:]] == [
        "keyportal: all is well again. This was the matter: Nobody answers."
    ]
    assert {record.name for record in caplog.records} == {"keyportal_client"}
