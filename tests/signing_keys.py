"""Two fresh signing keys of each algorithm, for all tests of a process: those of RSA take long to make."""

from collections.abc import Mapping
from typing import Any, Final

from vault.signing_keys import KEY_TYPES, new_signing_jwk

Jwk = dict[str, Any]
KEYS: Final[Mapping[str, Jwk]] = {algorithm: new_signing_jwk(algorithm) for algorithm in KEY_TYPES}
OTHERS: Final[Mapping[str, Jwk]] = {algorithm: new_signing_jwk(algorithm) for algorithm in KEY_TYPES}
