"""What commands have in common: the id of a key, `--json`, and errors that name an option."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from keyportal_client.cli.times import MomentType

Command = TypeVar("Command", bound=Callable[..., Any])
_KEY_ID: Final = re.compile(r"key_[0-9A-Za-z]{1,64}", re.ASCII)


class KeyIdType(click.ParamType):  # type: ignore[type-arg]  # not generic in older versions
    """A key's id. Its message repeats nothing: what was typed instead may be a secret."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id. Ends with a usage error for anything else."""
        if not _KEY_ID.fullmatch(str(value)):
            self.fail("A key's id begins with key_. List yours: keyportal keys list", param, ctx)
        return str(value)


def key_id_argument(command: Command) -> Command:
    """Add the argument ID."""
    return click.argument("key_id", metavar="ID", type=KeyIdType())(command)


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the portal's answer as JSON, and nothing else.")(
        command
    )


def scope_option(words: str) -> Callable[[Command], Command]:
    """Return what adds `--scope`."""
    return click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help=words)


def network_option(words: str) -> Callable[[Command], Command]:
    """Return what adds `--network`."""
    return click.option("--network", "networks", multiple=True, metavar="NETWORK", help=words)


def expires_option(command: Command) -> Command:
    """Add `--expires`."""
    return click.option(
        "--expires",
        "expires_at",
        metavar="WHEN",
        type=MomentType(takes_never=True),
        help="When the key expires: a date (its end, in UTC), 30d from now, or never.",
    )(command)


def secret_file_option(command: Command) -> Command:
    """Add `--secret-file`."""
    return click.option(
        "--secret-file",
        metavar="PATH",
        type=click.Path(dir_okay=False),
        help="Write the secret into this file, which only you can read, instead of standard output.",
    )(command)


def idempotency_option(command: Command) -> Command:
    """Add `--idempotency-key`."""
    return click.option(
        "--idempotency-key",
        metavar="TEXT",
        help="Do this once: the same command with the same text returns the same secret again, for a day.",
    )(command)


def moment_option(name: str, words: str) -> Callable[[Command], Command]:
    """Return what adds an option for a moment to come."""
    return click.option(name, metavar="WHEN", type=MomentType(takes_never=False), help=words)
