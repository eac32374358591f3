"""Check the credentials of requests in threads."""

from collections.abc import Collection
from types import TracebackType

from keyportal_client.credential import Credential
from keyportal_client.refusals import Refusal
from keyportal_client.verifying.base import BaseVerifier, credential_or_raise, verification_request
from keyportal_client.verifying.header import credential_of
from keyportal_client.verifying.steps import run_steps
from keyportal_client.verifying.verdicts import Outcome, VerificationRequest


class Verifier(BaseVerifier):
    """Checks credentials, from memory where it can. Make one for a process and keep it; it is thread-safe.

        verifier = Verifier()  # KEYPORTAL_PORTAL, KEYPORTAL_KEY
        credential = verifier.authenticate(request.headers.get("Authorization"), scopes=("reports:read",))

    `service` is the name under which the portal shows its calls. `audience` is the one that tokens must have; without
    it, that of the portal itself. `timeout` is in seconds.
    """

    def verify(
        self,
        text: str,
        *,
        scopes: Collection[str] = (),
        environment: str | None = None,
        client_ip: str | None = None,
    ) -> Credential:
        """Return whose a credential is that is good now for all that the arguments require.

        Raises `CredentialRefusedError`, which says what to answer: `VerdictUnavailableError` if the portal can't say.
        """
        try:
            needed = verification_request(scopes, environment, client_ip)
        except (TypeError, ValueError):
            del text
            raise
        outcome = self._at_once(text, needed) or self._ask(text, needed)
        del text  # what is raised has this frame
        return credential_or_raise(outcome)

    def authenticate(
        self,
        header: str | None,
        *,
        scopes: Collection[str] = (),
        environment: str | None = None,
        client_ip: str | None = None,
    ) -> Credential:
        """Return whose the credential in an Authorization header is (RFC 6750); None stands for no header.

        Several headers are joined by commas. Raises as `verify` does, with `missing_credential` if there is none.
        """
        text = credential_of(header)
        try:
            needed = verification_request(scopes, environment, client_ip)
        except (TypeError, ValueError):
            del text, header
            raise
        outcome = text if isinstance(text, Refusal) else self._at_once(text, needed) or self._ask(text, needed)
        del text, header
        return credential_or_raise(outcome)

    def close(self) -> None:
        """Send the last counts, and close the connections. A check after that starts anew."""
        self._close()

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, text: str, needed: VerificationRequest) -> Outcome:
        state = self._state
        steps, timeout = state.verdicts.ask(text, needed), 2 * self._settings.access.timeout
        try:
            return run_steps(steps, state.line.send, timeout=timeout)
        finally:
            state.feed.ensure_started()
