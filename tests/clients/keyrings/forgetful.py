"""A keyring that takes everything and has nothing, as the library's own null backend."""

from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    """Forgets at once."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        return None

    def delete_password(self, service: str, username: str) -> None:
        return None
