"""A key of a portal in memory: what a client sends, and what its owner can do to it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keyportal_client.errors import CredentialRefusedError
from keyportal_client.testing.records import rfc3339
from keyportal_client.testing.signing import sign_assertion
from keyportal_client.testing.state import State
from keyportal_client.verifying.client_address import NOWHERE
from keyportal_client.verifying.requirements import NOTHING


@dataclass(frozen=True)
class ApiKey:
    """A key. What is done to it, every verifier of this process knows before the verb returns."""

    id: str
    """The public id: `key_…`."""
    secret: str = field(repr=False)
    """What a client sends."""
    _state: State = field(repr=False, compare=False)

    @property
    def header(self) -> str:
        """The value of an Authorization header with the secret."""
        return f"Bearer {self.secret}"

    @property
    def headers(self) -> dict[str, str]:
        """The same as the headers of a request."""
        return {"Authorization": self.header}

    def revoke(self, reason: str = "") -> None:
        """End it for good."""
        self._state.change(self.secret, revoked_at=rfc3339(self._state.now), revoked_reason=reason)

    def pause(self, reason: str = "", until: datetime | None = None) -> None:
        """Have it refused for now, or until a moment."""
        ends = None if until is None else rfc3339(until)
        at = rfc3339(self._state.now)
        self._state.change(self.secret, paused_at=at, paused_until=ends, paused_reason=reason)

    def resume(self) -> None:
        """Have it accepted again after a pause."""
        self._state.change(self.secret, paused_at=None, paused_until=None, paused_reason="")

    def expire(self) -> None:
        """Have it expire a second ago."""
        self._state.change(self.secret, expires_at=rfc3339(self._state.now - timedelta(seconds=1)))

    def access_token(self, scopes: Collection[str] | None = None, *, service: str | None = None) -> str:
        """Return an access token that was exchanged for it, with all its scopes or these.

        `service` is the audience, where it is not the portal itself. Raises ValueError for a scope that the key lacks,
        `ConfigurationError` without the extra `tokens`.
        """
        return self._state.issue(self.secret, scopes=scopes, audience=service)[0]

    def assertion(self, service: str) -> str:
        """Return the signed identity that a gateway passes on to a service with this audience.

        Raises `CredentialRefusedError` if the key is not good now, `ConfigurationError` without the extra `tokens`.
        """
        verdict = self._state.verdict(self.secret, NOTHING, NOWHERE)
        if verdict.refusal is not None or verdict.accepted is None:
            raise CredentialRefusedError(verdict.refusal) if verdict.refusal else LookupError("no such key")
        return sign_assertion(verdict.accepted, service, issuer=self._state.url, at=self._state.seconds)
