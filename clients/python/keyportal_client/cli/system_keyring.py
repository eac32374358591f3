"""The system's keyring: it may be missing, locked, broken, or never answer, and none of that may stop a command."""

from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from threading import Thread
from typing import Any, Final, TypeVar

SERVICE: Final = "keyportal"
TIMEOUT: Final = 3.0
"""Seconds to wait for an answer."""
Result = TypeVar("Result")


class KeyringError(Exception):
    """The keyring did not do what it was asked."""


class SystemKeyring:
    """The keyring that the library `keyring` finds. After one failure it is not asked again."""

    def __init__(self) -> None:
        self._has_failed = False

    def get(self, portal: str) -> str | None:
        """Return the secret for a portal; None if there is none. Raises `KeyringError`."""
        found = self._ask(lambda keyring: keyring.get_password(SERVICE, portal))
        return str(found) if found is not None else None

    def put(self, portal: str, secret: str) -> None:
        """Keep a secret. Raises `KeyringError`, also if the keyring takes it and does not have it then."""

        def put_and_look(keyring: Any) -> bool:
            keyring.set_password(SERVICE, portal, secret)
            return bool(keyring.get_password(SERVICE, portal) == secret)

        if not self._ask(put_and_look):
            self._has_failed = True
            raise KeyringError

    def forget(self, portal: str) -> None:
        """Remove the secret for a portal. Raises `KeyringError`."""
        self._ask(lambda keyring: keyring.delete_password(SERVICE, portal))

    def _ask(self, question: Callable[[Any], Result]) -> Result:
        """Return the answer. The library is imported by the question, since finding a keyring may take as long."""
        if self._has_failed:
            raise KeyringError
        try:
            return _within(TIMEOUT, lambda: question(import_module("keyring")))
        except Exception as error:  # backends raise what they like, beside the library's KeyringError
            self._has_failed = True
            raise KeyringError from error


def _within(seconds: float, ask: Callable[[], Result]) -> Result:
    """Return what a function returns. Raises what it raises, and TimeoutError.

    Python waits at its end for the threads of a pool, and not for one like this.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future.result(timeout=seconds)
