"""Do several things take equally long? By the fastest of many tries each: what else the machine does only adds time."""

import time
from collections.abc import Callable, Mapping

FEWEST, MOST = 5, 30


def unlikeness(actions: Mapping[str, Callable[[], object]], within: float, before: Callable[[], object]) -> float:
    """Give how many times as long the slowest takes as the quickest.

    Tries all in turn until they are `within` this factor of each other; not more than 30 times. `before` each try
    something else is done, which is not counted.
    """
    fastest = dict.fromkeys(actions, float("inf"))
    for tries in range(1, MOST + 1):
        for name, action in actions.items():
            before()
            started = time.perf_counter()
            action()
            fastest[name] = min(fastest[name], time.perf_counter() - started)
        factor = max(fastest.values()) / min(fastest.values())
        if tries >= FEWEST and factor < within:
            break
    return factor
