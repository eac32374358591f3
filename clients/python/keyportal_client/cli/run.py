"""Run the command: whatever ends it, there is one sentence on standard error and one exit status."""

from collections.abc import Mapping, Sequence
from typing import Final

import click

from keyportal_client.cli import environment
from keyportal_client.cli.exit_status import ExitStatus, StoppedError
from keyportal_client.cli.inert import inert
from keyportal_client.cli.output import prepare_streams, say
from keyportal_client.cli.root import keyportal
from keyportal_client.cli.store import LOG_IN_AGAIN
from keyportal_client.errors import (
    AddressError,
    CredentialError,
    KeyportalError,
    NotAuthenticatedError,
    NotLoggedInError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)

STATUSES: Final[Mapping[type[KeyportalError], ExitStatus]] = {
    AddressError: ExitStatus.USAGE,
    CredentialError: ExitStatus.USAGE,
    NotLoggedInError: ExitStatus.NOT_LOGGED_IN,
    NotAuthenticatedError: ExitStatus.NOT_LOGGED_IN,
    UnreachableError: ExitStatus.UNREACHABLE,
    UnavailableError: ExitStatus.UNREACHABLE,
    UnexpectedAnswerError: ExitStatus.UNREACHABLE,
}
"""The exit status of each error; of all others 1."""
OPTIONS: Final[Mapping[str, str]] = {
    "expires_at": "--expires",
    "networks": "--network",
    "q": "--search",
    "scopes": "--scope",
    "show_once": "--show-once",
}
"""For members of a request that are spelled otherwise on the command line."""


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    prepare_streams()
    try:
        _refuse_broken_text(arguments)
        return int(keyportal.main(list(arguments), prog_name="keyportal", standalone_mode=False) or ExitStatus.DONE)
    except click.ClickException as error:
        return _show_usage(error)
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted.")
        return ExitStatus.INTERRUPTED
    except StoppedError as error:
        say(f"Error: {error}")
        return error.status
    except OSError as error:
        say(f"Error: {error.strerror or 'this machine failed'}.")
        return ExitStatus.REFUSED
    except KeyportalError as error:
        say(f"Error: {_sentence(error)}")
        return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), ExitStatus.REFUSED)


def _refuse_broken_text(arguments: Sequence[str]) -> None:
    """Raise `StoppedError` for what no request can hold: arguments that are not text."""
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError as error:
        raise StoppedError("An argument is not valid UTF-8.", ExitStatus.USAGE) from error


def _show_usage(error: click.ClickException) -> ExitStatus:
    """Say what is wrong with the command line. What click says repeats arguments, which may hold a secret."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        say(error.ctx.get_usage())
        if not isinstance(error, click.exceptions.NoArgsIsHelpError):
            say(f"Try “{error.ctx.command_path} --help”.\n")
    say(f"Error: {error.format_message()}")
    return ExitStatus.USAGE


def _sentence(error: KeyportalError) -> str:
    if not isinstance(error, RefusedError):
        return inert(str(error))
    said = inert(_said(error))
    if isinstance(error, RateLimitedError | UnavailableError) and error.retry_after:
        return f"{said} Try again in {error.retry_after} seconds."
    if isinstance(error, NotAuthenticatedError) and error.code != "invalid_login":
        return f"{_about_key(said)}" if environment.key() else f"{said} {LOG_IN_AGAIN}"
    request = f" The portal's operators find it by its request id, {inert(error.request_id)}."
    return said + request if error.status >= 500 and error.request_id else said  # noqa: PLR2004  # a fault of theirs


def _said(error: RefusedError) -> str:
    """Return the portal's own words: about each option, or the title and what to do."""
    if error.faults:
        return " ".join(f"{_option(fault.pointer)}: {fault.detail}" for fault in error.faults)
    if isinstance(error, RateLimitedError | UnavailableError):
        return f"{error}".rstrip(".") + "."
    return f"{f'{error}'.rstrip('.')}. {error.detail}".strip()


def _about_key(said: str) -> str:
    return f"The portal refuses the key in KEYPORTAL_KEY: {said}"


def _option(pointer: str) -> str:
    """Return the option for a member of a request's body or query."""
    name = pointer.strip("/").partition("/")[0]
    return OPTIONS.get(name, f"--{name.replace('_', '-')}" if name else "The request")
