"""A keyring that works: a JSON file of the test's own."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    """Keeps everything in the file that KEYRING_FILE names."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return self._held().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._held(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        self._write({name: held for name, held in self._held().items() if name != f"{service} {username}"})

    @property
    def _path(self) -> Path:
        return Path(os.environ["KEYRING_FILE"])

    def _held(self) -> dict[str, str]:
        held: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return held

    def _write(self, held: dict[str, str]) -> None:
        self._path.write_text(json.dumps(held))
