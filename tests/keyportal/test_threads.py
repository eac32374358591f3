"""Threads of the HTTP server: no more at a time than they are."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from keyportal.http_server.threads import Threads
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once


def test_threads_do_no_more_at_a_time_than_they_are() -> None:
    loop, running, most, lock = asyncio.new_event_loop(), 0, 0, threading.Lock()
    both = threading.Barrier(2)
    done: list[Any] = []

    def task(given: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(DEADLINE)
        with lock:
            running -= 1
        return given

    threads = Threads("test", threads=2, queue=10)
    threads.start(loop)
    tell: Callable[[Any], None] = done.append
    assert all(threads.submit(task, number, tell) for number in range(6))

    async def until_done() -> None:
        while threads.in_progress:
            await asyncio.sleep(0)

    loop.run_until_complete(until_done())
    assert (most, sorted(done)) == (2, [0, 1, 2, 3, 4, 5])
    loop.close()
