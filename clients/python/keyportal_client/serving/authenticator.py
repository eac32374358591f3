"""Say who sent a request, in threads or in an event loop, by what the options trust."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from keyportal_client.credential import Credential
from keyportal_client.errors import CredentialRefusedError, KeyportalError, VerdictUnavailableError
from keyportal_client.refusals import UNAVAILABLE, Refusal
from keyportal_client.serving.identity_headers import identity
from keyportal_client.serving.incoming import Incoming
from keyportal_client.serving.options import CheckOptions, Options
from keyportal_client.serving.responses import ProblemResponse, problem_response
from keyportal_client.verifying import clock
from keyportal_client.verifying.access import portal_address, service_key
from keyportal_client.verifying.assertion_verifier import HEADER, AssertionVerifier, AsyncAssertionVerifier
from keyportal_client.verifying.assertions import not_enough
from keyportal_client.verifying.async_verifier import AsyncVerifier
from keyportal_client.verifying.base import credential_or_raise
from keyportal_client.verifying.fault_log import FaultLog
from keyportal_client.verifying.forking import begin_anew_after_forks
from keyportal_client.verifying.jws import require_jwt
from keyportal_client.verifying.requirements import requirements
from keyportal_client.verifying.verifier import Verifier

if TYPE_CHECKING:
    from typing_extensions import Unpack

AUTHORIZATION: Final = "Authorization"
OF_VERIFIERS: Final = ("portal", "key", "service", "audience", "timeout")
NOTE: Final = "keyportal_client.credential"
MISCONFIGURED: Final = 5
"""Seconds after which a client may try again while this service is not set up."""

AnyVerifier = TypeVar("AnyVerifier")


def announced(incoming: Incoming) -> Mapping[str, str]:
    """Return the headers of the response to a request, which say when its credential ends."""
    noted: tuple[object, Credential] | None = incoming.notes.get(NOTE)
    return {} if noted is None else noted[1].headers


class BaseAuthenticator(ABC, Generic[AnyVerifier]):
    """What knows who sent a request. Its verifier is made at the first request, so that a test can set it up."""

    def __init__(self, **options: "Unpack[Options]") -> None:
        self._options = CheckOptions(options)
        self._lock = threading.Lock()
        self._made: AnyVerifier | None = None
        self._faults = FaultLog(now=clock.now)
        begin_anew_after_forks(self)

    def begin_anew(self) -> None:
        """Begin anew after a fork: what held the lock is the parent's."""
        self._lock, self._faults = threading.Lock(), FaultLog(now=clock.now)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._options}>"

    def respond(self, refusal: Refusal) -> ProblemResponse:
        """Return what to answer to a request that is refused."""
        return problem_response(refusal, self._portal())

    def known(self, incoming: Incoming) -> Credential | None:
        """Return what was found out about this request before; None if nothing was, or by another authenticator."""
        found, credential = incoming.notes.get(NOTE, (None, None))
        return credential if found is self else None

    def _note(self, incoming: Incoming, credential: Credential) -> Credential:
        incoming.notes[NOTE] = (self, credential)
        return credential

    def _at_once(self, incoming: Incoming, scopes: Collection[str], environment: str | None) -> Credential | None:
        """Return who it is where no verifier is needed; None where one is. Raises `CredentialRefusedError`."""
        credential = self.known(incoming) if NOTE in incoming.notes else None
        if credential is None and self._options.trust != "headers":
            return None
        needed = requirements(scopes, environment)
        if credential is not None:  # it was counted then
            return credential_or_raise(not_enough(credential, needed) or credential)
        found = identity(incoming) if incoming.peer in self._options.gateways else Refusal("missing_credential")
        refusal = found if isinstance(found, Refusal) else not_enough(found, needed)
        return credential_or_raise(refusal or found)

    def _header(self, incoming: Incoming) -> str | None:
        """Return the value of the header that says who it is. Raises `CredentialRefusedError` if there are several."""
        if self._options.trust != "assertion":
            return incoming.value(AUTHORIZATION)
        assertion = incoming.value(HEADER)
        if assertion and "," in assertion:  # two that the server has joined
            del assertion  # what is raised has this frame
            raise CredentialRefusedError(Refusal("malformed_request"))
        return assertion

    def _verifier(self) -> AnyVerifier:
        """Return the verifier. Raises `VerdictUnavailableError` if this service is not set up; the log says how."""
        try:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
                return self._made
        except KeyportalError as error:
            self._faults.note(str(error))
        raise VerdictUnavailableError(Refusal(UNAVAILABLE, retry_after=MISCONFIGURED))

    def note_what_is_missing(self) -> None:
        """Log now what the environment lacks, and not at the first request: at a start, somebody reads the log."""
        given = self._named("portal", "key")
        portal = given.get("portal")
        try:
            if self._options.trust == "assertion":
                require_jwt()
            if self._options.trust == "credential":
                service_key(portal, given.get("key"))
            if self._options.trust != "headers":
                portal_address(portal)
        except KeyportalError as error:
            self._faults.note(str(error))

    @abstractmethod
    def _make(self) -> AnyVerifier:
        """Return a new verifier. Raises `KeyportalError`."""

    def _named(self, *names: str) -> dict[str, Any]:
        """Return the options of these names that were given."""
        options: Mapping[str, Any] = self._options.options
        return {name: options[name] for name in names if name in options}

    def _of_assertions(self) -> dict[str, Any]:
        """Return what a verifier of assertions takes, which calls the service what tokens call their audience."""
        return {**self._named("portal", "issuer", "timeout"), "service": self._options.options["audience"]}

    def _portal(self) -> str:
        try:
            return str(portal_address(self._options.options.get("portal")))
        except KeyportalError:
            return ""


class Authenticator(BaseAuthenticator[Verifier | AssertionVerifier]):
    """Says who sent a request, in threads."""

    def authenticate(
        self, incoming: Incoming, *, scopes: Collection[str] = (), environment: str | None = None
    ) -> Credential:
        """Return who sent a request that has all that the arguments require. Raises `CredentialRefusedError`."""
        environment = environment or self._options.environment
        credential = self._at_once(incoming, scopes, environment)
        if credential is None:
            credential = self._verifier().authenticate(
                self._header(incoming),
                scopes=scopes,
                environment=environment,
                client_ip=incoming.client_ip(self._options.proxies),
            )
        return self._note(incoming, credential)

    def close(self) -> None:
        """Send the last counts, and close the connections."""
        if self._made is not None:
            self._made.close()

    def _make(self) -> Verifier | AssertionVerifier:
        if self._options.trust == "assertion":
            return AssertionVerifier(**self._of_assertions())
        return Verifier(**self._named(*OF_VERIFIERS))


class AsyncAuthenticator(BaseAuthenticator[AsyncVerifier | AsyncAssertionVerifier]):
    """Says who sent a request, and lets the event loop go on meanwhile."""

    async def authenticate(
        self, incoming: Incoming, *, scopes: Collection[str] = (), environment: str | None = None
    ) -> Credential:
        """Return who sent a request that has all that the arguments require. Raises `CredentialRefusedError`."""
        needed: dict[str, Any] = {"scopes": scopes, "environment": environment}
        return self.at_once(incoming, **needed) or await self.ask(incoming, **needed)

    def at_once(
        self, incoming: Incoming, *, scopes: Collection[str] = (), environment: str | None = None
    ) -> Credential | None:
        """Return the same, if the portal need not be asked; else None."""
        environment = environment or self._options.environment
        credential = self._at_once(incoming, scopes, environment)
        if credential is None and self._made is not None:
            credential = self._made.at_once(
                self._header(incoming),
                scopes=scopes,
                environment=environment,
                client_ip=incoming.client_ip(self._options.proxies),
            )
        return None if credential is None else self._note(incoming, credential)

    async def ask(
        self, incoming: Incoming, *, scopes: Collection[str] = (), environment: str | None = None
    ) -> Credential:
        """Return the same, by asking the portal."""
        # To make it takes a while: it reads the certificates that this machine trusts.
        verifier = self._made if self._made is not None else await asyncio.to_thread(self._verifier)
        credential = await verifier.authenticate(
            self._header(incoming),
            scopes=scopes,
            environment=environment or self._options.environment,
            client_ip=incoming.client_ip(self._options.proxies),
        )
        return self._note(incoming, credential)

    async def close(self) -> None:
        """Send the last counts, and close this event loop's connections."""
        if self._made is not None:
            await self._made.close()

    def _make(self) -> AsyncVerifier | AsyncAssertionVerifier:
        if self._options.trust == "assertion":
            return AsyncAssertionVerifier(**self._of_assertions())
        return AsyncVerifier(**self._named(*OF_VERIFIERS))
