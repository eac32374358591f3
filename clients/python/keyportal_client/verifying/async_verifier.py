"""Check the credentials of requests in an event loop."""

import asyncio
from collections.abc import Collection
from functools import cached_property
from types import TracebackType
from typing import Final

from keyportal_client.credential import Credential
from keyportal_client.refusals import Refusal
from keyportal_client.verifying.async_lines import AsyncLines
from keyportal_client.verifying.base import BaseVerifier, credential_or_raise, verification_request
from keyportal_client.verifying.header import credential_of
from keyportal_client.verifying.steps import run_steps_async
from keyportal_client.verifying.verdicts import Outcome, VerificationRequest

KNOWN: Final = (Credential, Refusal)
"""What an outcome is that need not be awaited."""


class AsyncVerifier(BaseVerifier):
    """Checks credentials as `Verifier` does, and lets the event loop of asyncio go on while it asks the portal."""

    async def verify(
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
        return credential_or_raise(outcome if isinstance(outcome, KNOWN) else await outcome)

    async def authenticate(
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
        return credential_or_raise(outcome if isinstance(outcome, KNOWN) else await outcome)

    def at_once(
        self,
        header: str | None,
        *,
        scopes: Collection[str] = (),
        environment: str | None = None,
        client_ip: str | None = None,
    ) -> Credential | None:
        """Return what `authenticate` would return without asking the portal; None if it must be asked."""
        text = credential_of(header)
        try:
            needed = verification_request(scopes, environment, client_ip)
        except (TypeError, ValueError):
            del text, header
            raise
        outcome = text if isinstance(text, Refusal) else self._at_once(text, needed)
        del text, header
        return None if outcome is None else credential_or_raise(outcome)

    async def close(self) -> None:
        """Send the last counts, and close this loop's connections. A check after that starts anew."""
        await asyncio.to_thread(self._close)
        await self._lines.close()

    async def __aenter__(self) -> "AsyncVerifier":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def begin_anew(self) -> None:
        """Begin anew after a fork, without the connections of the parent's event loops."""
        super().begin_anew()
        self.__dict__.pop("_lines", None)

    @cached_property
    def _lines(self) -> AsyncLines:
        return AsyncLines(self._settings.access)

    async def _ask(self, text: str, needed: VerificationRequest) -> Outcome:
        state = self._state
        steps, timeout = state.verdicts.ask(text, needed), 2 * self._settings.access.timeout
        del text  # a check that is cancelled raises from here
        try:
            return await run_steps_async(steps, self._lines.of_this_loop().send, timeout=timeout)
        finally:
            state.feed.ensure_started()
