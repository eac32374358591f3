"""Tokens that are refused without asking the portal: those that it has not signed, and those that have expired.

What is not certain is left to the portal. Tokens of its symmetric keys, which it does not publish, are too.
"""

from collections.abc import Generator, Mapping
from datetime import datetime, timezone
from typing import Any, Final

from keyportal_client.refusals import Refusal
from keyportal_client.verifying.jws import ALGORITHMS, Header, header_of, payload_of
from keyportal_client.verifying.key_set import KeySet
from keyportal_client.verifying.steps import Step, StepResult

TYPES: Final = ("at+jwt", "application/at+jwt")
MAX_LEEWAY: Final = 60
"""Seconds for which a portal may accept a token that has expired, because clocks differ."""
UNKNOWN: Final = Refusal("invalid_token")


class Screening:
    """Looks at tokens before the portal is asked about them. Thread-safe."""

    def __init__(self, keys: KeySet, *, audience: str) -> None:
        self._keys = keys
        self._audience = audience

    def refuse(self, token: str, *, at: float | None) -> Generator[Step, StepResult, Refusal | None]:
        """Return why a token is certainly refused, None if the portal must be asked. May take one step: a call.

        `at` is the time in seconds since 1970 by the portal's clock, None if that is not known.
        """
        header = header_of(token)
        if header is None:
            return UNKNOWN
        if header.algorithm not in ALGORITHMS:
            return None
        has_newest = yield from self._keys.renew_for(header.key_id)
        key = self._keys.get(header.key_id)
        if key is None:
            return UNKNOWN if has_newest else None
        payload = payload_of(token, key) if _is_access_token(header, key.algorithm) else None
        return UNKNOWN if payload is None else self._expired(payload, at)

    def _expired(self, payload: Mapping[str, Any], at: float | None) -> Refusal | None:
        """Return the refusal of a token that expired long enough ago. One for another service is as unknown as any."""
        ends, names = payload.get("exp"), [payload.get(name) for name in ("jti", "client_id")]
        if at is None or payload.get("aud") != self._audience:
            return None
        if type(ends) is not int or ends > at - MAX_LEEWAY or not all(isinstance(name, str) for name in names):
            return None
        text = datetime.fromtimestamp(ends, timezone.utc).isoformat().replace("+00:00", "Z")
        return Refusal("expired", about={"token": names[0], "client": names[1], "at": text})


def _is_access_token(header: Header, algorithm: str) -> bool:
    return header.algorithm == algorithm and header.type.lower() in TYPES
