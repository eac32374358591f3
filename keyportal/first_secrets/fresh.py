"""Make fresh secrets, one for each setting that has no default."""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from vault.rings import new_entry
from vault.signing_keys import new_signing_jwk


def signing_ring() -> str:
    """Return a signing ring of one fresh key, as JSON."""
    return json.dumps({"keys": [new_signing_jwk("ES256")]}, separators=(",", ":"))


FRESH: Final[Mapping[str, Callable[[], str]]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "KEYPORTAL_SEALING_KEYS": lambda: new_entry("s1"),
    "KEYPORTAL_INDEX_KEYS": lambda: new_entry("i1"),
    "KEYPORTAL_SIGNING_KEYS": signing_ring,
}
"""What makes the first value of a setting, by its name."""
