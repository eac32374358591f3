"""A process that judges credentials over and over until its input ends: `python -m tests.clients.judging_process FILE`.

It writes a line of JSON whenever what comes out for a credential has changed, and at the end when each was last let in.
Times are of the machine's monotonic clock, which all processes have in common, from before each check.
"""

import json
import select
import sys
import time
from pathlib import Path
from typing import Any

from keyportal_client import CredentialRefusedError, Verifier


def outcome_of(verifier: Verifier, secret: str) -> str:
    """Return `accepted`, or the code of the refusal."""
    try:
        verifier.verify(secret)
    except CredentialRefusedError as error:
        return error.refusal.code
    return "accepted"


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(secrets: list[str]) -> None:
    outcomes, last_in, checks = [""] * len(secrets), [0.0] * len(secrets), 0
    with Verifier(service="storm") as verifier:
        while not select.select([sys.stdin], [], [], 0.005)[0]:
            for place, secret in enumerate(secrets):
                began = time.monotonic()  # noqa: TID251  # what is measured, and not how long the test took
                outcome = outcome_of(verifier, secret)
                checks += 1
                if outcome == "accepted":
                    last_in[place] = began
                if outcome != outcomes[place]:
                    outcomes[place] = outcome
                    say(place=place, outcome=outcome)
    say(last_in=last_in, checks=checks)


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text().split())
