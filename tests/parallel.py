"""Many at once: what a race is tested with."""

import threading
from collections.abc import Callable
from typing import TypeVar

from tests.waiting import DEADLINE

Result = TypeVar("Result")


def all_at_once(parallel: int, action: Callable[[int], Result]) -> list[Result]:
    """Call it in that many threads that start together; return what each returned. Raises what one of them raised."""
    barrier = threading.Barrier(parallel)
    results: dict[int, Result] = {}
    errors: list[Exception] = []

    def run(number: int) -> None:
        try:
            barrier.wait(DEADLINE)  # a thread that never comes ends the others' waiting
            results[number] = action(number)
        except Exception as error:  # noqa: BLE001  # it is raised again in the thread that asserts
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(parallel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
    return [results[number] for number in range(parallel)]
