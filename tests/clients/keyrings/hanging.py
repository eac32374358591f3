"""A keyring that never answers, as one whose window nobody sees."""

import threading
from typing import Never

from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    """Waits for ever, whatever it is asked."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return _wait()

    def set_password(self, service: str, username: str, password: str) -> None:
        _wait()

    def delete_password(self, service: str, username: str) -> None:
        _wait()


def _wait() -> Never:
    while True:
        threading.Event().wait()
