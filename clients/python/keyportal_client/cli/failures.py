"""What the command says of an error of the client, and the exit status that goes with it."""

from collections.abc import Mapping
from typing import Final

from keyportal_client.cli import environment
from keyportal_client.cli.exit_status import ExitStatus
from keyportal_client.cli.inert import inert
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
WHOLE: Final = (
    "answer_destroyed",
    "conflict",
    "idempotency_running",
    "issuing_suspended",
    "key_ended",
    "limit_reached",
    "rotating",
)
"""The codes whose detail says all that the title does. The detail of any other goes on where the title ends."""
OUR_WORDS: Final[Mapping[str, str]] = {
    "changed_meanwhile": "This key was changed or revoked in the meantime. Look at it with “keyportal keys show”.",
    "idempotency_mismatch": "This --idempotency-key was sent with another command before. Leave it out, or repeat that "
    "command exactly.",
    "not_found": "There is no key with this id, or it isn't yours.",
}
"""For codes of which the portal speaks in terms of HTTP: ETags, addresses, bodies."""
NO_LOG_IN_HELPS: Final = ("owner_inactive", "paused")
"""The codes of refused credentials that another log-in changes nothing about."""


def status_of(error: KeyportalError) -> ExitStatus:
    """Return the exit status for an error."""
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), ExitStatus.REFUSED)


def sentence(error: KeyportalError) -> str:
    """Return what to say of an error and of how to go on, for a terminal."""
    if not isinstance(error, RefusedError):
        return inert(str(error))
    said = inert(portal_words(error))
    if isinstance(error, RateLimitedError | UnavailableError) and error.retry_after:
        return f"{said} Try again in {error.retry_after} seconds."
    if isinstance(error, NotAuthenticatedError):
        return _about_credential(error, said)
    return said


def portal_words(error: RefusedError) -> str:
    """Return what the portal says: about each option, or what is wrong and what to do."""
    title = f"{error}".rstrip(".") + "."
    if error.faults:
        return " ".join(f"{option_of(fault.pointer)}: {fault.detail}" for fault in error.faults)
    if error.code == "insufficient_scope" and error.scopes:
        return f"This credential lacks a required scope: {' '.join(error.scopes)}. Add it on the key's page."
    if error.code in OUR_WORDS:
        return OUR_WORDS[error.code]
    if error.code in WHOLE and error.detail:
        return error.detail
    if error.status >= 500 and error.request_id:  # noqa: PLR2004  # a fault of theirs
        return f"{title} The portal's operators find the cause by its request id, {error.request_id}."
    if isinstance(error, RateLimitedError | UnavailableError):
        return title
    return f"{title} {error.detail}".strip()


def option_of(pointer: str) -> str:
    """Return the option for a member of a request's body or query."""
    name = pointer.strip("/").partition("/")[0]
    return OPTIONS.get(name, f"--{name.replace('_', '-')}" if name else "The request")


def _about_credential(error: NotAuthenticatedError, said: str) -> str:
    if environment.key():
        return f"The portal refuses the key in KEYPORTAL_KEY: {said}"
    return said if error.code in NO_LOG_IN_HELPS else f"{said} {LOG_IN_AGAIN}"
