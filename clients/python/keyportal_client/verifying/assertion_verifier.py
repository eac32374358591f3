"""Check the signed identity that a gateway passes on, in threads or in an event loop."""

from collections.abc import Collection
from typing import Final

from keyportal_client.credential import Credential
from keyportal_client.verifying import clock
from keyportal_client.verifying.access import public_access_to
from keyportal_client.verifying.assertions import Assertions
from keyportal_client.verifying.async_lines import AsyncLines
from keyportal_client.verifying.base import TIMEOUT, credential_or_raise
from keyportal_client.verifying.fault_log import FaultLog
from keyportal_client.verifying.forking import begin_anew_after_forks
from keyportal_client.verifying.jws import require_jwt
from keyportal_client.verifying.key_set import KeySet
from keyportal_client.verifying.line import Line
from keyportal_client.verifying.requirements import requirements
from keyportal_client.verifying.steps import run_steps, run_steps_async

HEADER: Final = "X-Keyportal-Assertion"


class BaseAssertionVerifier:
    """A verifier of assertions, and the keys that it has in this process."""

    def __init__(
        self, portal: str | None = None, *, service: str, issuer: str | None = None, timeout: float = TIMEOUT
    ) -> None:
        require_jwt()
        self._access = public_access_to(portal, timeout)
        self._service = service
        self._issuer = issuer or self.portal
        self.begin_anew()
        begin_anew_after_forks(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.portal} for {self._service}>"

    @property
    def portal(self) -> str:
        """The portal's address."""
        return str(self._access.portal)

    def begin_anew(self) -> None:
        """Forget the keys and the connections."""
        keys = KeySet(now=clock.now, faults=FaultLog(now=clock.now))
        self._assertions = Assertions(keys, service=self._service, issuer=self._issuer)
        self._line = Line(self._access, timeout=self._access.timeout)
        self._lines = AsyncLines(self._access)


class AssertionVerifier(BaseAssertionVerifier):
    """Checks the header `X-Keyportal-Assertion` of requests behind a gateway that asks the portal. Thread-safe.

        verifier = AssertionVerifier(service="https://reports.example.com")
        credential = verifier.authenticate(request.headers.get("X-Keyportal-Assertion"))

    `service` is the audience that the gateway's configuration names for this service, and for no other. `issuer` is the
    portal's public address, where that is not the one by which this service reaches it.
    """

    def authenticate(
        self,
        assertion: str | None,
        *,
        scopes: Collection[str] = (),
        environment: str | None = None,
        client_ip: str | None = None,
    ) -> Credential:
        """Return who sent a request. The gateway has checked the client's address.

        Raises `CredentialRefusedError`: `VerdictUnavailableError` if the portal's keys can't be fetched.
        """
        steps = self._assertions.check(assertion, requirements(scopes, environment))
        outcome = run_steps(steps, self._line.send, timeout=2 * self._access.timeout)
        del assertion, steps  # what is raised has this frame
        return credential_or_raise(outcome)

    def close(self) -> None:
        """Close the connections."""
        self._line.close()


class AsyncAssertionVerifier(BaseAssertionVerifier):
    """Checks assertions as `AssertionVerifier` does, and lets the event loop go on while it fetches keys."""

    async def authenticate(
        self,
        assertion: str | None,
        *,
        scopes: Collection[str] = (),
        environment: str | None = None,
        client_ip: str | None = None,
    ) -> Credential:
        """Return who sent a request. The gateway has checked the client's address.

        Raises `CredentialRefusedError`: `VerdictUnavailableError` if the portal's keys can't be fetched.
        """
        steps = self._assertions.check(assertion, requirements(scopes, environment))
        outcome = await run_steps_async(steps, self._lines.of_this_loop().send, timeout=2 * self._access.timeout)
        del assertion, steps  # what is raised has this frame
        return credential_or_raise(outcome)

    def at_once(self, assertion: str | None, **needed: object) -> None:
        """Return None: to check a signature takes its time, and maybe a call."""

    async def close(self) -> None:
        """Close the connections of this event loop."""
        await self._lines.close()
