"""What both verifiers have: settings, the state of this process, and its end."""

import re
import weakref
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from keyportal_client.credential import Credential
from keyportal_client.errors import ConfigurationError, CredentialRefusedError, VerdictUnavailableError
from keyportal_client.refusals import Refusal
from keyportal_client.verifying import clock
from keyportal_client.verifying.access import access_to
from keyportal_client.verifying.client_address import client_address
from keyportal_client.verifying.feed import LAST_COUNTS
from keyportal_client.verifying.forking import begin_anew_after_forks
from keyportal_client.verifying.process_state import ProcessState, Settings
from keyportal_client.verifying.requirements import requirements
from keyportal_client.verifying.verdicts import Outcome, VerificationRequest

TIMEOUT: Final = 2.0
"""Seconds to wait for an answer of the portal."""
_SERVICE: Final = re.compile(r"[a-z][a-z0-9_]{0,15}")


class BaseVerifier:
    """A verifier and what it has in this process. Thread-safe."""

    def __init__(
        self,
        portal: str | None = None,
        *,
        key: str | None = None,
        service: str = "service",
        audience: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        if not _SERVICE.fullmatch(service):
            raise ConfigurationError("A verifier's service is 1 to 16 small letters, digits and _, a letter first.")
        self._settings = Settings(access_to(portal, key, timeout), service, audience)
        self._open()
        begin_anew_after_forks(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.portal} for {self._settings.service}>"

    @property
    def portal(self) -> str:
        """The portal's address."""
        return str(self._settings.access.portal)

    def begin_anew(self) -> None:
        """Begin anew after a fork: records and counts are the parent's, and so are the connections."""
        self._end_state.detach()
        self._open()

    def _at_once(self, text: str, needed: VerificationRequest) -> Outcome | None:
        """Return the verdict from memory; None if the portal must be asked."""
        verdicts = self._state.verdicts
        return verdicts.at_once(verdicts.store.digest(text), needed)

    def _open(self) -> None:
        self._state = ProcessState(self._settings, now=clock.now)
        # When it is garbage, in whichever thread, so without a wait. At the end of the program its feed waits.
        self._end_state = weakref.finalize(self, self._state.end, LAST_COUNTS)
        self._end_state.atexit = False

    def _close(self) -> None:
        """Send the last counts. A check after that starts anew."""
        state = self._state
        self._end_state.detach()
        self._open()
        state.close(LAST_COUNTS)


def verification_request(
    scopes: Collection[str], environment: str | None, client_ip: str | None
) -> VerificationRequest:
    """Return what a request needs. Raises ValueError for what no request can mean."""
    return _verification_request(scopes if isinstance(scopes, str) else tuple(scopes), environment, client_ip)


@lru_cache(maxsize=4096)  # most requests of a service come from few addresses
def _verification_request(
    scopes: Collection[str], environment: str | None, client_ip: str | None
) -> VerificationRequest:
    return VerificationRequest(requirements(scopes, environment), client_address(client_ip))


def credential_or_raise(outcome: Outcome) -> Credential:
    """Return the credential. Raises `CredentialRefusedError`."""
    if isinstance(outcome, Credential):
        return outcome
    raise error_of(outcome)


def error_of(refusal: Refusal) -> CredentialRefusedError:
    """Return the error for a refusal."""
    return CredentialRefusedError(refusal) if refusal.is_verdict else VerdictUnavailableError(refusal)
