"""Ports for the servers that tests start."""

import random
import socket
from contextlib import closing
from typing import Final

PORTS: Final = range(12_000, 32_000)
"""The kernel gives none of these to a client, which could have it before the server; and no browser refuses one."""
_dice: Final = random.SystemRandom()
"""Not the generator that pytest sets anew for each test: all workers would ask for the same ones."""
_given: Final[set[int]] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 without a listener, which this process gives out for the first time."""
    while True:
        port = _dice.choice(PORTS)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
