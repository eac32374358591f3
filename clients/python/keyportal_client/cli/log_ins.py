"""`keyportal login` and `logout`."""

import getpass
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlencode

import click

from keyportal_client import log_in
from keyportal_client.address import PortalAddress
from keyportal_client.api import Client
from keyportal_client.caller import Credential, FixedCredential
from keyportal_client.cli import environment
from keyportal_client.cli.exit_status import ExitStatus, StoppedError
from keyportal_client.cli.failures import portal_words, sentence, status_of
from keyportal_client.cli.inert import inert
from keyportal_client.cli.options import json_option
from keyportal_client.cli.output import emit_json, say
from keyportal_client.cli.session import AGENT, StoredLogin, open_store, open_transport, secrets_of
from keyportal_client.cli.store import Secrets, Store
from keyportal_client.errors import KeyportalError, NotAuthenticatedError, NotLoggedInError, RefusedError
from keyportal_client.shapes import Me

MAX_LINE: Final = 10_000
"""Characters of a password or a key, before it is looked at."""
NOT_TOLD: Final = (
    "The log-in is forgotten here. The portal could not be told, so there it goes on until it expires. You can end it "
    "in the portal, under “Signed-in apps”."
)


@click.command("login")
@click.option("--portal", metavar="URL", help="The portal's address, such as https://keys.example.com.")
@click.option("--email", help="The e-mail address of your account.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--key", "by_key", is_flag=True, help="Log in with an API key, read from standard input.")
@json_option
def login(portal: str | None, email: str | None, password_stdin: bool, by_key: bool, as_json: bool) -> None:
    """Log in to a portal with your password, or with an API key.

    An account with a second factor logs in with a key, and so does a machine. The log-in is kept in the system's
    keyring. With --json, prints what the portal says about the new credential.
    """
    if by_key and (email or password_stdin):
        raise click.UsageError("Use either --key, or --email and --password-stdin.")
    store = open_store()
    address = str(open_transport(portal or environment.portal() or store.portal() or _ask("Portal")).portal)
    store.refuse_if_unwritable()
    if not portal:
        say(f"Logging in to {address}.")
    if by_key:
        _log_in_by_key(store, address)
    else:
        _log_in(store, address, email, password_stdin)
    _say_what_comes_before(address)
    if as_json:
        emit_json(_client(address, StoredLogin(store, address)).me())


@click.command("logout")
@json_option
def logout(as_json: bool) -> None:
    """Log out: end the log-in at the portal, and forget it here.

    A key that you logged in with is only forgotten here, and goes on working. The portal answers without a body, so
    --json prints nothing.
    """
    store = open_store()
    portal = environment.portal() or store.portal()
    address = str(open_transport(portal).portal) if portal else ""
    entry = store.entry(address)
    if entry is None:
        say("You are not logged in.")
        return
    try:
        _end(store, address)
    except KeyportalError as error:
        raise StoppedError(f"{sentence(error)} {NOT_TOLD}", status_of(error)) from error
    except StoppedError as error:
        raise StoppedError(f"The stored log-in can't be read. {NOT_TOLD}", error.status) from error
    finally:
        with store.locked():
            store.forget(address)
    rest = " The key goes on working; revoke it if nothing else uses it." if entry.kind == "key" else ""
    say(f"Logged out of {address}.{rest}")


def _log_in(store: Store, address: str, email: str | None, password_stdin: bool) -> None:
    transport = open_transport(address)
    email = email or _ask("E-mail")
    password = _line_of_stdin() if password_stdin else _ask_hidden("Password", "--password-stdin")
    with _explained(address):
        tokens = log_in.log_in(transport, email=email, password=password)
    _end_former(store, address)
    with store.locked():
        store.log_in(address, kind="login", who=email, secrets=secrets_of(tokens))
    say(f"Logged in to {address} as {inert(email)}.")


def _log_in_by_key(store: Store, address: str) -> None:
    key = _ask_hidden("API key", "standard input") if sys.stdin.isatty() else _line_of_stdin().strip()
    me = _owner_of(key, address)
    _end_former(store, address)
    with store.locked():
        store.log_in(address, kind="key", who=me["id"], secrets=Secrets(key=key))
    say(f"Logged in to {address} with the key {me['id']} “{inert(me['name'])}”.")
    if missing := [scope for scope in log_in.SCOPES if scope not in me["scopes"]]:
        say(f"This key does not have {' and '.join(missing)}, which managing keys needs.")


def _owner_of(key: str, address: str) -> Me:
    """Return what a portal says about a key. Raises `KeyportalError`, and `StoppedError` for one that it refuses."""
    try:
        return _client(address, FixedCredential(key)).me()
    except NotAuthenticatedError as error:
        raise StoppedError(inert(portal_words(error)), ExitStatus.NOT_LOGGED_IN) from error


def _say_what_comes_before(address: str) -> None:
    """Say which variables keep the next commands from using the new log-in."""
    if environment.key():
        say("KEYPORTAL_KEY is set, so commands use it and not this log-in.")
    elif environment.portal() and str(PortalAddress.parse(environment.portal())) != address:
        say("KEYPORTAL_PORTAL is set to another portal, so commands use that one and not this log-in.")


def _client(address: str, credential: Credential) -> Client:
    return Client(address, credential, timeout=environment.timeout(), agent=AGENT)


def _end(store: Store, address: str) -> None:
    """End a log-in at the portal. A key is left alone: it would be revoked. Raises `KeyportalError`, `StoppedError`."""
    entry = store.entry(address)
    if entry is None or entry.kind == "key":
        return
    credential = StoredLogin(store, address)
    with suppress(NotAuthenticatedError, NotLoggedInError):  # it had ended
        log_in.end_log_in(open_transport(address), credential.current())


def _end_former(store: Store, address: str) -> None:
    """End the log-in that the next one replaces, if that is possible."""
    with suppress(KeyportalError, StoppedError):
        _end(store, address)


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Say that the password is wrong, or how to go on if this account or portal takes none."""
    try:
        yield
    except RefusedError as error:
        if error.code == "invalid_login":
            message = "The e-mail address or the password is wrong."
            raise StoppedError(message, ExitStatus.NOT_LOGGED_IN) from error
        if error.code == "invalid_scope":
            raise StoppedError("This portal doesn't let a log-in manage keys. Use its keys page.") from error
        if error.code not in ("mfa_required", "not_found"):
            raise
        why = (
            "Your account has a second factor"
            if error.code == "mfa_required"
            else "This portal takes no password from a command"
        )
        fields = [
            ("name", f"keyportal on {platform.node() or 'a machine'}"),
            *(("scope", name) for name in log_in.SCOPES),
        ]
        raise StoppedError(
            f"{why}, so log in with an API key. Create one here:\n"
            f"  {address}/keys/new/?{urlencode(fields, safe=':')}\n"
            f"Then run this and paste the key:\n  keyportal login --key --portal {address}",
            ExitStatus.NOT_LOGGED_IN,
        ) from error


def _ask(what: str) -> str:
    """Return what a person types. Raises `click.UsageError` without a terminal."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"There is no terminal to ask at. Use --{what.lower().replace('-', '')}.")
    answer: str = click.prompt(what, err=True)
    return answer.strip()


def _ask_hidden(what: str, otherwise: str) -> str:
    """Return what a person types without showing it. Raises `click.UsageError` without a terminal."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"There is no terminal to ask at. Use {otherwise}.")
    return getpass.getpass(f"{what}: ", stream=sys.stderr)


def _line_of_stdin() -> str:
    """Return the first line of standard input. Raises `StoppedError` if it is empty, or not text."""
    try:
        line = sys.stdin.readline(MAX_LINE).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise StoppedError("Standard input is not valid UTF-8.", ExitStatus.USAGE) from error
    if not line:
        raise StoppedError("Standard input is empty.", ExitStatus.USAGE)
    return line
