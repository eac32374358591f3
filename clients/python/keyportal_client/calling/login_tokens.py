"""Stay logged in by an access and a refresh token. A refresh token can be used once, so one holder uses it for all."""

import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, NamedTuple, Protocol

from keyportal_client import log_in as calls
from keyportal_client.address import PortalAddress
from keyportal_client.calling.renewing import EARLY, AccessToken, RenewedCredential
from keyportal_client.errors import NotAuthenticatedError, NotLoggedInError, RefusedError
from keyportal_client.shapes import Tokens
from keyportal_client.transport import TIMEOUT, Transport

ENDED: Final = "Your log-in has ended. Log in again."
AGENT: Final = "(client)"


class StoredTokens(NamedTuple):
    """The tokens of a log-in, as they are kept."""

    portal: str
    """The portal that they are of, and are sent to."""
    access_token: str
    refresh_token: str
    good_until: float
    """When the access token ends, by this machine's own clock, in seconds since 1970."""

    def __repr__(self) -> str:
        return f"StoredTokens(of {self.portal})"


class TokenStore(Protocol):
    """Where the tokens of one log-in are kept."""

    def locked(self) -> AbstractContextManager[None]:
        """Return a lock that all who share these tokens take."""

    def load(self) -> StoredTokens | None:
        """Return the tokens; None without a log-in."""

    def save(self, tokens: StoredTokens | None) -> None:
        """Keep the tokens before they are used; None for none. Under the lock."""


class MemoryStore:
    """Keeps tokens as long as this process lives."""

    def __init__(self) -> None:
        self._tokens: StoredTokens | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let all in: there is one holder."""
        yield

    def load(self) -> StoredTokens | None:
        """Return the tokens; None without a log-in."""
        return self._tokens

    def save(self, tokens: StoredTokens | None) -> None:
        """Keep the tokens."""
        self._tokens = tokens


class LoginTokens(RenewedCredential):
    """The access tokens of a log-in, which are refreshed before they end. Thread-safe.

        login = LoginTokens("https://keys.example.com", TokenFile("~/.config/reports/login.json"))
        login.log_in("you@example.com", getpass())  # once; after that, the file is enough

    Without a store, it ends with this process. `timeout` is in seconds.
    """

    def __init__(self, portal: str, store: TokenStore | None = None, *, timeout: float = TIMEOUT) -> None:
        super().__init__()
        self._transport = Transport(PortalAddress.parse(portal), timeout=timeout, agent=AGENT)
        self._store = store or MemoryStore()

    def __repr__(self) -> str:
        return f"<LoginTokens of {self._portal}>"

    @property
    def identity(self) -> str:
        """What tells this log-in from others."""
        return f"{self._portal} {id(self)}"

    @property
    def _portal(self) -> str:
        return str(self._transport.portal)

    def log_in(self, email: str, password: str, *, scopes: Collection[str] | None = None) -> None:
        """Log in. `scopes` None asks for all that the account may take but for those that manage keys.

        Raises `KeyportalError`.
        """
        try:
            call = calls.log_in_call(email=email, password=password, scopes=scopes)
        finally:
            del password  # what is raised has this frame
        with self._store.locked():
            tokens = calls.tokens_of(self._transport, call)
            self._store.save(self._stored(tokens))
        self.forget()

    def adopt(self, *, access_token: str, refresh_token: str, expires_in: float) -> None:
        """Go on with tokens that something else has logged in for. `expires_in` is in seconds.

        No other program may refresh them any more: a refresh token works once.
        """
        with self._store.locked():
            self._store.save(StoredTokens(self._portal, access_token, refresh_token, time.time() + expires_in))
        self.forget()

    def log_out(self) -> None:
        """End the log-in here, and at the portal. Raises `KeyportalError` if that can't be told."""
        with self._store.locked():
            held = self._store.load()
            self._store.save(None)
        self.forget()
        if held is not None and held.portal == self._portal:
            try:
                calls.end_log_in(self._transport, held.access_token)
            except NotAuthenticatedError:
                return  # it had ended before

    def fetch(self) -> AccessToken:
        """Return the next token, which another process may have got meanwhile. Raises `KeyportalError`."""
        with self._store.locked():
            held = self._store.load()
            if held is None or held.portal != self._portal:
                raise NotLoggedInError("You are not logged in. Log in first.")
            if held.access_token != self.text and _is_good(held):
                return _token(held)
            held = self._stored(self._refresh(held))
            self._store.save(held)
            return _token(held)

    def _refresh(self, held: StoredTokens) -> Tokens:
        """Return the next tokens. A log-in that has ended is forgotten: its token must not be sent again."""
        try:
            return calls.refresh(self._transport, held.refresh_token)
        except RefusedError as error:
            if error.code != "invalid_grant":
                raise
            self._store.save(None)
            raise NotLoggedInError(ENDED) from error

    def _stored(self, tokens: Tokens) -> StoredTokens:
        good_until = time.time() + tokens["expires_in"]
        return StoredTokens(self._portal, tokens["access_token"], tokens["refresh_token"], good_until)


def _is_good(held: StoredTokens) -> bool:
    return time.time() < held.good_until - EARLY


def _token(held: StoredTokens) -> AccessToken:
    return AccessToken(held.access_token, held.good_until - time.time())
