"""Take the steps of a check: in a thread, or in an event loop.

What checks knows neither. It is a generator, whose steps are calls to the portal, and questions that others have begun.
"""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import closing
from typing import Any, TypeAlias, TypeVar

from keyportal_client.errors import PortalAwayError
from keyportal_client.verifying.answers import Answer
from keyportal_client.verifying.exchange import Call

Step: TypeAlias = Call | Future[Any]
StepResult: TypeAlias = Answer | PortalAwayError | object
"""What came back, or why nothing did; of a question of others, what they found, None if they did not."""
Result = TypeVar("Result")


def run_steps(steps: Generator[Step, StepResult, Result], send: Callable[[Call], Answer], *, timeout: float) -> Result:
    """Take the steps, one after another, and return what comes out. `timeout` is that of waiting for others."""
    with closing(steps):
        try:
            step = next(steps)
            while True:
                step = steps.send(_found(step, send, timeout))
        except StopIteration as end:
            result: Result = end.value
            return result


async def run_steps_async(
    steps: Generator[Step, StepResult, Result], send: Callable[[Call], Awaitable[Answer]], *, timeout: float
) -> Result:
    """Do the same without blocking the event loop. A task that is cancelled takes its call with it."""
    with closing(steps):
        try:
            step = next(steps)
            while True:
                step = steps.send(await _found_async(step, send, timeout))
        except StopIteration as end:
            result: Result = end.value
            return result


def _found(step: Step, send: Callable[[Call], Answer], timeout: float) -> StepResult:
    try:
        return send(step) if isinstance(step, Call) else step.result(timeout)
    except PortalAwayError as error:
        return error
    except concurrent.futures.TimeoutError:
        return None


async def _found_async(step: Step, send: Callable[[Call], Awaitable[Answer]], timeout: float) -> StepResult:
    try:
        if isinstance(step, Call):
            return await send(step)
        landing = asyncio.shield(asyncio.wrap_future(step))  # a task that is cancelled must not end it for the others
        return await asyncio.wait_for(landing, timeout)
    except PortalAwayError as error:
        return error
    except asyncio.TimeoutError:
        return None
