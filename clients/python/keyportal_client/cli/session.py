"""With which credential a command calls which portal."""

import time
from math import inf
from typing import Final

from keyportal_client import log_in
from keyportal_client.address import PortalAddress
from keyportal_client.api import Client
from keyportal_client.caller import FixedCredential
from keyportal_client.cli import environment
from keyportal_client.cli.exit_status import ExitStatus, StoppedError
from keyportal_client.cli.output import say
from keyportal_client.cli.store import LOG_IN_AGAIN, Secrets, Store
from keyportal_client.cli.uninterrupted import uninterrupted
from keyportal_client.errors import NotLoggedInError, RefusedError
from keyportal_client.shapes import Tokens
from keyportal_client.transport import TIMEOUT, Transport

AGENT: Final = "(command)"
EARLY: Final = 30
"""Seconds before its end at which an access token is refreshed."""


def open_client() -> Client:
    """Return a client for the portal and the credential of this command. Raises `KeyportalError`, `StoppedError`."""
    if key := environment.key():
        if not environment.portal():
            message = "Set KEYPORTAL_PORTAL too: the address of the portal that the key in KEYPORTAL_KEY belongs to."
            raise StoppedError(message, ExitStatus.USAGE)
        credential: FixedCredential | StoredLogin = FixedCredential(key)
        portal = environment.portal()
    else:
        store = open_store()
        portal = chosen_portal(store)
        credential = StoredLogin(store, portal)
    return Client(portal, credential, timeout=environment.timeout(), agent=AGENT)


def open_store() -> Store:
    """Return the log-ins of this user."""
    return Store(environment.folder())


def open_transport(portal: str, *, at_most: float = inf) -> Transport:
    """Return the way to a portal, on which nothing waits longer than that. Raises `AddressError`, `StoppedError`."""
    return Transport(PortalAddress.parse(portal), timeout=min(environment.timeout(), at_most), agent=AGENT)


def chosen_portal(store: Store) -> str:
    """Return the portal of KEYPORTAL_PORTAL or of the last log-in. Raises `NotLoggedInError`, `AddressError`."""
    portal = environment.portal() or store.portal()
    if not portal:
        raise NotLoggedInError("You are not logged in. Log in: keyportal login --portal https://keys.example.com")
    return str(PortalAddress.parse(portal))


def adopt_secret(key_id: str, secret: str) -> None:
    """Have the log-in go on with a key's new secret, if it is by this key. Raises `StoppedError`."""
    if environment.key():
        return
    store = open_store()
    portal = chosen_portal(store)
    entry = store.entry(portal)
    if entry is not None and entry.kind == "key" and entry.who == key_id:
        with store.locked():
            store.renew(portal, Secrets(key=secret))
        say("You are logged in with this key, and the log-in uses its new secret now.")


def logged_in_as() -> str:
    """Return the e-mail address of the log-in. Raises `NotLoggedInError`, `StoppedError`."""
    store = open_store()
    entry = store.entry(chosen_portal(store)) if not environment.key() else None
    return entry.who if entry is not None else "the owner of KEYPORTAL_KEY"


class StoredLogin:
    """The credential of a log-in: its key, or its access token, which one process refreshes for all."""

    def __init__(self, store: Store, portal: str) -> None:
        self._store = store
        self._portal = portal
        self._just_issued = ""

    def current(self) -> str:
        """Return the key or an access token that is good for a while. Raises `NotLoggedInError`, and what it meets."""
        secrets = self._secrets()
        if secrets.key:
            return secrets.key
        return secrets.access_token if _is_good(secrets) else self._refresh(secrets.access_token)

    def renewed(self, spent: str) -> str | None:
        """Return the next access token; None for a key, and for a token that the portal issued a moment ago."""
        if spent == self._just_issued or self._secrets().key:
            return None
        return self._refresh(spent)

    def _secrets(self) -> Secrets:
        secrets = self._store.secrets(self._portal)
        if secrets is None:
            raise NotLoggedInError(
                f"You are not logged in to {self._portal}. Log in: keyportal login --portal {self._portal}"
            )
        return secrets

    def _refresh(self, spent: str) -> str:
        """Return an access token other than the spent one, which another process may have got meanwhile."""
        with self._store.locked():
            secrets = self._secrets()
            if secrets.key or secrets.access_token != spent:
                return secrets.key or secrets.access_token
            with uninterrupted():
                tokens = self._next_tokens(secrets.refresh_token)
                self._store.renew(self._portal, secrets_of(tokens))
            self._just_issued = tokens["access_token"]
            return self._just_issued

    def _next_tokens(self, refresh_token: str) -> Tokens:
        """Return the next tokens. A log-in that has ended is forgotten: its token must not be sent again."""
        try:
            return log_in.refresh(open_transport(self._portal, at_most=TIMEOUT), refresh_token)
        except RefusedError as error:
            if error.code != "invalid_grant":
                raise
            self._store.forget(self._portal)
            raise NotLoggedInError(f"Your log-in to {self._portal} has ended. {LOG_IN_AGAIN}") from error


def secrets_of(tokens: Tokens) -> Secrets:
    """Return the secrets of new tokens, with the end of the access token by this machine's own clock."""
    return Secrets(
        access_token=tokens["access_token"],
        refresh_token=tokens["refresh_token"],
        good_until=time.time() + tokens["expires_in"],
    )


def _is_good(secrets: Secrets) -> bool:
    return time.time() < secrets.good_until - EARLY
