"""The steps of a check are taken in a thread as in an event loop."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future

import pytest

from keyportal_client.errors import PortalAwayError
from keyportal_client.verifying.answers import Answer
from keyportal_client.verifying.exchange import Call
from keyportal_client.verifying.steps import Step, StepResult, run_steps, run_steps_async

pytestmark = pytest.mark.once

ANSWER = Answer(200, "", b"")
AWAY = PortalAwayError("Nobody answers.")
Steps = Generator[Step, StepResult, list[StepResult]]


class Check:
    """Steps that were written down before, and whether they came to an end."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.has_ended = False

    def __call__(self) -> Steps:
        found: list[StepResult] = []
        try:
            for step in self.steps:
                came = yield step
                found.append(came)
            return found
        finally:
            self.has_ended = True


def send(call: Call) -> Answer:
    if call.path == "/away":
        raise AWAY
    if call.path == "/bug":
        raise RuntimeError("a bug")
    return ANSWER


def in_thread(check: Check) -> list[StepResult]:
    return run_steps(check(), send, timeout=0)


def in_loop(check: Check) -> list[StepResult]:
    async def send_async(call: Call) -> Answer:
        return send(call)

    return asyncio.run(run_steps_async(check(), send_async, timeout=0.01))


Taken = Callable[[Check], list[StepResult]]
both = pytest.mark.parametrize("taken", [in_thread, in_loop])


def landed(result: object) -> Future[object]:
    flight: Future[object] = Future()
    flight.set_result(result)
    return flight


@both
def test_a_step_is_answered_with_what_came_of_it(taken: Taken) -> None:
    check = Check(Call("GET", "/"), landed("news"), Call("GET", "/away"), Future(), Call("GET", "/"))
    assert taken(check) == [ANSWER, "news", AWAY, None, ANSWER]
    assert check.has_ended


@both
def test_a_check_without_steps_has_its_result(taken: Taken) -> None:
    assert taken(Check()) == []


@both
def test_a_fault_ends_the_check_too(taken: Taken) -> None:
    check = Check(Call("GET", "/bug"))
    with pytest.raises(RuntimeError):
        taken(check)
    assert check.has_ended
