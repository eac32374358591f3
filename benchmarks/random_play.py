"""A million checks by records while commits, polls, questions, lost messages and outages come in random order.

The world is that of the tests (`tests.credentials.feed_world`): real listeners, leases, logs, caches and stores,
made-up time. After each step it checks every key at every verifier, and fails if a record was replaced too long ago.

`python -m benchmarks.random_play`, with DJANGO_SETTINGS_MODULE; it prints how many checks were answered by a record.
"""

import os
from collections.abc import Callable
from random import Random
from typing import Final

import django

django.setup()

from tests.credentials.feed_world import KEYS, TIME, Verifier, Worker, World, made_up_time  # noqa: E402  # needs the settings

CHECKS: Final = int(os.environ.get("CHECKS", "1000000"))
STEPS: Final = 2_000
"""Of a world, before the next one begins."""
QUIET: Final = (0.0, 0.001, 0.05, 0.25, 0.5, 0.9, 1.4, 1.999)
SEED: Final = int(os.environ.get("SEED", "20261129"))


class Play:
    """A world, and what happens in it."""

    def __init__(self, random: Random) -> None:
        self.world = World(workers=3, verifiers=3)
        self.moves: dict[Callable[[], object], int] = {
            self.pass_as_usual: 12,
            self.poll: 8,
            self.ask: 8,
            self.commit: 6,
            self.wait: 4,
            self.reconnect: 1,
            self.change_without_triggers: 1,
            self.restore: 1,
            self.go_back_without_a_start: 1,
        }
        """What can happen, and how often."""
        self._random = random
        for worker in self.world.workers:
            worker.connect()

    def run(self) -> int:
        """Play some steps; return how many checks were answered by a record."""
        for move in self._random.choices(list(self.moves), list(self.moves.values()), k=STEPS):
            move()
            self.world.check()
        return self.world.answered

    def pass_as_usual(self) -> None:
        """Let time pass while everything works, or some of the workers do."""
        places = self._random.sample(range(3), self._random.randint(1, 3))
        for _ in range(self._random.randint(1, 4)):
            self.world.pass_quarter(places)
            self.world.check()

    def commit(self) -> None:
        """Change some rows; one of the workers may lose the notifications."""
        keys = self._random.sample(KEYS, self._random.randint(1, 3))
        self.world.database.commit(keys, lost_by=[self._random.randrange(9)])

    def poll(self) -> None:
        """Begin a poll, have it answered, let the answer arrive or be lost: not always all of it."""
        verifier = self._verifier()
        self.world.begin_poll(verifier)
        if self._happens(0.8):
            self.world.answer_poll(verifier, self._worker())
        if self._happens(0.7):
            self.world.end_poll(verifier, is_lost=self._happens(0.2))

    def ask(self) -> None:
        """Ask about a key, or have an earlier question go on."""
        verifier = self._verifier()
        if not verifier.asks or self._happens(0.6):
            self.world.begin_ask(verifier, self._worker(), self._random.choice(KEYS))
        place = self._random.randrange(len(verifier.asks))
        if self._happens(0.8):
            self.world.look_up(verifier.asks[place])
        if self._happens(0.7):
            self.world.end_ask(verifier, place=place)

    def reconnect(self) -> None:
        """Restart a worker."""
        self._worker().connect()

    def wait(self) -> None:
        """Let time pass while only some notifications arrive."""
        TIME.now += self._random.choice(QUIET)
        self._worker().beat()
        self._worker().receive(self._random.choice((1, 2, 1000)))

    def change_without_triggers(self) -> None:
        """Change a row in a way that only the catalogue shows."""
        self.world.database.change_without_triggers(self._random.choice(KEYS))

    def restore(self) -> None:
        """Put an earlier state in place, and start the server anew."""
        self.world.database.restore(self._random.randint(1, 3))

    def go_back_without_a_start(self) -> None:
        """Put an earlier state in place while the server runs."""
        self.world.database.go_back_without_a_start(self._random.randint(1, 3))

    def _happens(self, chance: float) -> bool:
        return self._random.random() < chance

    def _worker(self) -> Worker:
        return self._random.choice(self.world.workers)

    def _verifier(self) -> Verifier:
        return self._random.choice(self.world.verifiers)


def main() -> None:
    """Play in one world after the other. Raises AssertionError if a record was checked by for too long."""
    random, answered, worlds = Random(SEED), 0, 0  # noqa: S311  # no secret is made by it
    with made_up_time():
        while answered < CHECKS:
            answered += Play(random).run()
            worlds += 1
    print(answered, worlds, STEPS)  # noqa: T201  # the command's output


if __name__ == "__main__":
    main()
