"""Secrets and ids as a portal makes them (docs/secret-format.md of the project)."""

import secrets
from typing import Final

from keyportal_client.verifying.form import _ALPHABET, _checksum

_RANDOM_CHARACTERS: Final = 43
_ID_CHARACTERS: Final = 22


def new_secret(environment: str) -> str:
    """Return a fresh secret of a key."""
    body = f"kp_{environment}_{_random_text(_RANDOM_CHARACTERS)}"
    return body + _checksum(body)


def new_id(kind: str) -> str:
    """Return a fresh public id, such as `key_7Gk…`."""
    return f"{kind}_{_random_text(_ID_CHARACTERS)}"


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
