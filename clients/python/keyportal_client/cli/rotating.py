"""`keyportal keys rotate` and `end-overlap`."""

import shlex
import sys

import click

from keyportal_client.api import Client, new_idempotency_key
from keyportal_client.cli.exit_status import ExitStatus, StoppedError
from keyportal_client.cli.inert import inert
from keyportal_client.cli.options import idempotency_option, json_option, key_id_argument, secret_file_option
from keyportal_client.cli.output import emit_json, say
from keyportal_client.cli.secret_place import repeatable, secret_place
from keyportal_client.cli.session import adopt_secret, open_client
from keyportal_client.cli.times import shown_time
from keyportal_client.cli.with_secret import PLACEHOLDER, run_with_secret
from keyportal_client.errors import KeyportalError
from keyportal_client.shapes import Key


@click.command("rotate")
@key_id_argument
@click.option(
    "--overlap", default="24h", show_default=True, help="How long the old secret keeps working: 0, 90m, 24h, 30d …"
)
@click.option("--reason", default="", help="Why. The key's history keeps it.")
@click.option(
    "--exec",
    "command",
    metavar=f"'COMMAND {PLACEHOLDER}'",
    help=f"Run this with the new secret, then end the overlap. {PLACEHOLDER} becomes the path of a private file that "
    "holds the secret and is removed afterwards. No shell is involved. If the command fails, the overlap goes on.",
)
@idempotency_option
@secret_file_option
@json_option
def rotate(
    *,
    key_id: str,
    overlap: str,
    reason: str,
    command: str | None,
    idempotency_key: str | None,
    secret_file: str | None,
    as_json: bool,
) -> None:
    """Replace the secret of a key and print the new one. The old one works until the overlap ends."""
    arguments = _arguments(command, overlap) if command is not None else None
    client, once = open_client(), idempotency_key or new_idempotency_key()
    with secret_place(secret_file, as_json=as_json) as place, repeatable(once):
        key, secret = client.rotate(key_id, overlap=overlap, reason=reason, idempotency_key=once)
        adopt_secret(key_id, secret)
        place.keep(secret)
        if arguments is None:
            place.show(key, secret)
    say(_rotated(key))
    if arguments is not None:
        ended = _hand_over(client, key, secret, arguments, once)
        if as_json:
            emit_json(ended)


@click.command("end-overlap")
@key_id_argument
@json_option
def end_overlap(key_id: str, as_json: bool) -> None:
    """End the overlap of a rotation now. The old secret stops working."""
    key = open_client().end_overlap(key_id)
    if as_json:
        emit_json(key)
    say(f"Only the newest secret of {key['id']} “{inert(key['name'])}” works now.")


def _arguments(command: str, overlap: str) -> list[str]:
    """Return the words of a command. Raises `click.UsageError`."""
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise click.UsageError("--exec: a quotation mark is missing.") from error
    if not any(PLACEHOLDER in argument for argument in arguments[1:]):
        raise click.UsageError(f"--exec: write {PLACEHOLDER} where the path of the secret's file goes.")
    if overlap == "0":
        raise click.UsageError("--exec needs an overlap: with 0, the old secret ends before the command has started.")
    return arguments


def _rotated(key: Key) -> str:
    ends = [secret["retires_at"] for secret in key["secrets"] if secret["retires_at"]]
    former = f"The old secret works until {shown_time(ends[0])}." if ends else "The old secret has ended."
    return f"Rotated {key['id']} “{inert(key['name'])}”. {former}"


def _hand_over(client: Client, key: Key, secret: str, arguments: list[str], once: str) -> Key:
    """Run the command with the new secret, and return the key after the end of the overlap. Raises `StoppedError`."""
    again = f"Fix it, then run this within a day to use the same new secret:\n  {_same_command(once)}"
    try:
        problem = run_with_secret(arguments, secret)
    except KeyboardInterrupt:
        say(f"The overlap goes on: both secrets work. {again}")
        raise
    except OSError as error:
        problem = f"did not get the secret ({error.strerror})"
    if problem:
        message = f"The command {problem}, so the overlap goes on: both secrets work. {again}"
        raise StoppedError(message, ExitStatus.COMMAND_FAILED)
    try:
        ended = client.end_overlap(key["id"])
    except KeyportalError:
        say(f"The command succeeded, but the overlap goes on. End it: keyportal keys end-overlap {key['id']}")
        raise
    say("The command succeeded, and the old secret has ended.")
    return ended


def _same_command(once: str) -> str:
    """Return this command line with its idempotency key: the portal answers it with the same secret."""
    words = sys.argv[1:]
    named = [] if any(word.startswith("--idempotency-key") for word in words) else ["--idempotency-key", once]
    return shlex.join(["keyportal", *words, *named])
