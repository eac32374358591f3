"""A service for tests: checks a credential, and does what its arguments say. Writes what it found."""

import os
import sys

from keyportal_client import CredentialRefusedError, Verifier
from tests.waiting import wait_until


def check(verifier: Verifier, secret: str) -> str:
    try:
        return verifier.verify(secret).id
    except CredentialRefusedError as error:
        return error.refusal.code


def check_twice(verifier: Verifier, secret: str) -> None:
    """Have it asked about, and then judged."""
    check(verifier, secret)
    wait_until(lambda: verifier._state.verdicts.store.is_current)
    check(verifier, secret)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(what: str, secret: str) -> None:
    verifier = Verifier(service="program")
    if what != "fork-cold":
        check_twice(verifier, secret)
    if what == "end":
        return
    child = os.fork()
    if not child:
        check_twice(verifier, secret)
        check(verifier, secret)
        say("child", len(verifier._state.verdicts.store))
        return  # ends as every program does
    _, status = os.waitpid(child, 0)
    say("parent", check(verifier, secret), status)


if __name__ == "__main__":
    main(*sys.argv[1:])
