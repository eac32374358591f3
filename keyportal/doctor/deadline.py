"""A deadline for what may wait for another server without end: the timeout of a socket begins anew with each byte."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def begin(call: Callable[[], Result]) -> Future[Result]:
    """Make a call in a thread of its own, and return its future. Nobody has to wait for it, not even the process."""
    future: Future[Result] = Future()
    threading.Thread(target=_run, args=(call, future), name="keyportal-doctor", daemon=True).start()
    return future


def _run(call: Callable[[], Result], future: Future[Result]) -> None:
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001  # the caller gets it with the result
        future.set_exception(error)
    else:
        future.set_result(result)
