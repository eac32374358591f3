"""Where log-ins are kept: the secrets in the system's keyring or, where that fails, in the private file of log-ins.

The file says which of the two has a secret, so a keyring that answers again later never brings back an old one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from keyportal_client.cli import login_file
from keyportal_client.cli.exit_status import ExitStatus, StoppedError
from keyportal_client.cli.login_file import Entry, Kind, LoginFile
from keyportal_client.cli.output import say
from keyportal_client.cli.system_keyring import KeyringError, SystemKeyring

LOG_IN_AGAIN: Final = "Log in again: keyportal login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a log-in is made of: a key, or the tokens of a password log-in and until when the access token is good."""

    key: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    good_until: float = 0.0


class Store:
    """The log-ins of this user."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keyring = SystemKeyring()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for a change. Raises `StoppedError`."""
        with login_file.locked(self._folder):
            yield

    def refuse_if_unwritable(self) -> None:
        """Raise `StoppedError` if a log-in could not be kept. At the portal it would go on, and nobody have it."""
        with self.locked():
            LoginFile.read(self._folder)

    def portal(self) -> str:
        """Return the portal of the last log-in; empty if there is none. Raises `StoppedError`."""
        return LoginFile.read(self._folder).portal

    def entry(self, portal: str) -> Entry | None:
        """Return as whom there is a log-in to a portal, and how. Raises `StoppedError`."""
        return LoginFile.read(self._folder).logins.get(portal)

    def secrets(self, portal: str) -> Secrets | None:
        """Return the secrets for a portal; None without a log-in to it. Raises `StoppedError`."""
        entry = self.entry(portal)
        if entry is None:
            return None
        text = entry.secret if entry.secret is not None else self._from_keyring(portal)
        try:
            return Secrets(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise StoppedError(f"The stored log-in is damaged. {LOG_IN_AGAIN}", ExitStatus.NOT_LOGGED_IN) from error

    def log_in(self, portal: str, *, kind: Kind, who: str, secrets: Secrets) -> None:
        """Keep a new log-in, and have commands use its portal. Under the lock. Raises `StoppedError`."""
        held = LoginFile.read(self._folder)
        self._put(LoginFile(portal, held.logins), portal, Entry(kind=kind, who=who), secrets)

    def renew(self, portal: str, secrets: Secrets) -> None:
        """Keep the next tokens of a log-in where the former were. Under the lock. Raises `StoppedError`."""
        held = LoginFile.read(self._folder)
        self._put(held, portal, held.logins[portal], secrets)

    def forget(self, portal: str) -> None:
        """Remove a log-in. Under the lock. Raises `StoppedError`."""
        held = LoginFile.read(self._folder)
        entry = held.logins.get(portal)
        held.without_login(portal).write(self._folder)
        if entry is not None and entry.secret is None:
            self._forget_in_keyring(portal)

    def _put(self, held: LoginFile, portal: str, entry: Entry, secrets: Secrets) -> None:
        text = json.dumps(asdict(secrets))
        was_in_file = entry.secret is not None
        if was_in_file or not self._put_into_keyring(portal, text):
            held.with_login(portal, replace(entry, secret=text)).write(self._folder)
            if not was_in_file:
                say(f"The system's keyring is not available. The log-in is in {self._folder}, readable by you alone.")
        elif held.logins.get(portal) != entry or held.portal != self.portal():
            held.with_login(portal, entry).write(self._folder)

    def _put_into_keyring(self, portal: str, text: str) -> bool:
        try:
            self._keyring.put(portal, text)
        except KeyringError:
            return False
        return True

    def _from_keyring(self, portal: str) -> str:
        try:
            text = self._keyring.get(portal)
        except KeyringError as error:
            raise StoppedError(
                "The system's keyring, which has your log-in, does not answer. Unlock it and try again, or log in "
                "again: keyportal login",
                ExitStatus.NOT_LOGGED_IN,
            ) from error
        if text is None:
            message = f"The system's keyring does not have your log-in any more. {LOG_IN_AGAIN}"
            raise StoppedError(message, ExitStatus.NOT_LOGGED_IN)
        return text

    def _forget_in_keyring(self, portal: str) -> None:
        try:
            self._keyring.forget(portal)
        except KeyringError:
            say("The system's keyring did not answer, and may still have the log-in, under the name keyportal.")
