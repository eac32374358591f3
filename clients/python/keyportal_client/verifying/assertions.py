"""Signed identities of requests that a gateway had checked: `X-Keyportal-Assertion`, for the service behind it.

They are checked by the portal's published keys alone, so the service needs neither a key of its own nor the feed.
"""

import time
from collections.abc import Generator, Mapping
from datetime import datetime, timezone
from typing import Any, Final, TypedDict

from keyportal_client.conforming import conform
from keyportal_client.credential import Credential
from keyportal_client.errors import UnexpectedAnswerError
from keyportal_client.refusals import UNAVAILABLE, Refusal
from keyportal_client.shapes import Id, Word
from keyportal_client.verifying.form import is_token, is_well_formed
from keyportal_client.verifying.jws import ALGORITHMS, Header, header_of, payload_of
from keyportal_client.verifying.key_set import RETRY_SOON, KeySet
from keyportal_client.verifying.requirements import Requirements
from keyportal_client.verifying.steps import Step, StepResult
from keyportal_client.verifying.verdicts import Outcome

TYPE: Final = "keyportal-assertion+jwt"
LEEWAY: Final = 10
"""Seconds by which the clocks of the portal and of the service may differ."""
UNKNOWN: Final = Refusal("invalid_token")


class AssertionJson(TypedDict):
    """What an assertion says. Times are whole seconds since 1970, UTC."""

    iss: str
    aud: str
    sub: str
    owner: Id
    client_id: Id
    kind: Word
    scope: str
    environment: Word
    iat: int
    exp: int


class Assertions:
    """Checks assertions for one service. Thread-safe."""

    def __init__(self, keys: KeySet, *, service: str, issuer: str) -> None:
        self._keys = keys
        self._service = service
        self._issuer = issuer

    def check(self, text: str | None, requirements: Requirements) -> Generator[Step, StepResult, Outcome]:
        """Return whose request it is, or why it gets no further. May take one step: to fetch the keys."""
        if not text:
            return Refusal("missing_credential")
        header = header_of(text) if is_well_formed(text) and is_token(text) else None
        if header is None or header.type != TYPE or header.algorithm not in ALGORITHMS:
            return UNKNOWN
        yield from self._keys.renew_for(header.key_id)
        if not self._keys.is_known:
            return Refusal(UNAVAILABLE, retry_after=int(RETRY_SOON))
        payload = self._payload(text, header)
        credential = self._credential(payload) if payload is not None else None
        return UNKNOWN if credential is None else not_enough(credential, requirements) or credential

    def _payload(self, text: str, header: Header) -> Mapping[str, Any] | None:
        """Return what the portal signed; None if it did not."""
        key = self._keys.get(header.key_id)
        return payload_of(text, key) if key is not None and key.algorithm == header.algorithm else None

    def _credential(self, payload: Mapping[str, Any]) -> Credential | None:
        """Return the identity, if it is for this service, of this portal, and of now."""
        try:
            said = conform(payload, AssertionJson)
            expires_at = datetime.fromtimestamp(said["exp"], timezone.utc)
        except (UnexpectedAnswerError, ValueError, OverflowError, OSError):
            return None
        is_ours = said["iss"] == self._issuer and said["aud"] == self._service
        if not is_ours or not said["iat"] - LEEWAY <= time.time() < said["exp"] + LEEWAY:
            return None
        return Credential(
            kind=said["kind"],
            id=said["sub"].partition(":")[2],
            name="",
            client_id=said["client_id"],
            owner_id=said["owner"],
            environment=said["environment"],
            scopes=frozenset(said["scope"].split()),
            expires_at=expires_at,
        )


def _about(credential: Credential) -> dict[str, str]:
    """Return which credential it is, for its holder."""
    if credential.kind == "api_key":
        return {"key": credential.id, **({"name": credential.name} if credential.name else {})}
    token = {"token": credential.id} if credential.id.startswith("tok_") else {}  # a gateway's headers do not tell it
    return {**token, "client": credential.client_id}


def not_enough(credential: Credential, requirements: Requirements) -> Refusal | None:
    """Return why a good credential is not for this request."""
    about, headers = _about(credential), credential.headers
    if requirements.environment and requirements.environment != credential.environment:
        return Refusal("wrong_environment", about={**about, "environment": credential.environment}, headers=headers)
    if not credential.scopes.issuperset(requirements.scopes):
        return Refusal("insufficient_scope", requirements.scopes, about, headers=headers)
    return None
