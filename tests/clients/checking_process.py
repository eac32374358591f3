"""A process that checks credentials over and over until its input ends.

`python -m tests.clients.checking_process FILE` checks them with the Python client, and with one more argument PORT by
asking a service there. It writes a line of JSON whenever the outcome for a credential has changed, and at the end when
each was last accepted. Times are of the machine's monotonic clock, which all processes have in common, from before each
check.
"""

import json
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from keyportal_client import CredentialRefusedError, Verifier

CONNECTIONS: Final = 6
"""To the service, so that some reach each of nginx's workers."""
Check = Callable[[str], str]
"""Takes a secret, and returns `accepted` or the code of the refusal."""


@contextmanager
def by_client() -> Iterator[Check]:
    """Yield a check by a verifier in this process."""
    with Verifier(service="storm") as verifier:

        def check(secret: str) -> str:
            try:
                verifier.verify(secret)
            except CredentialRefusedError as error:
                return error.refusal.code
            return "accepted"

        yield check


@contextmanager
def by_service(port: int) -> Iterator[Check]:
    """Yield a check by a request to a service."""
    lines = [HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(CONNECTIONS)]
    in_turn = cycle(lines)

    def check(secret: str) -> str:
        line = next(in_turn)
        line.request("GET", "/open/", headers={"Authorization": f"Bearer {secret}"})
        answer = line.getresponse()
        answer.read()
        return answer.headers["X-Keyportal-Code"] or {200: "accepted"}[answer.status]

    yield check
    for line in lines:
        line.close()


def write(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(secrets: list[str], check: Check) -> None:
    outcomes, accepted_at, checks = [""] * len(secrets), [0.0] * len(secrets), 0
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        for place, secret in enumerate(secrets):
            began = time.monotonic()  # noqa: TID251  # what is measured, and not how long the test took
            outcome = check(secret)
            checks += 1
            if outcome == "accepted":
                accepted_at[place] = began
            if outcome != outcomes[place]:
                outcomes[place] = outcome
                write(place=place, outcome=outcome)
    write(accepted_at=accepted_at, checks=checks)


if __name__ == "__main__":
    with by_service(int(sys.argv[2])) if len(sys.argv) > 2 else by_client() as checking:
        main(Path(sys.argv[1]).read_text().split(), checking)
