"""Run the command: whatever ends it, there is one sentence on standard error and one exit status."""

from collections.abc import Sequence

import click

from keyportal_client.cli.exit_status import ExitStatus, StoppedError
from keyportal_client.cli.failures import sentence, status_of
from keyportal_client.cli.output import prepare_streams, say
from keyportal_client.cli.root import keyportal
from keyportal_client.errors import KeyportalError


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
        say(f"Error: {error.strerror or 'the operating system reported an error'}.")
        return ExitStatus.REFUSED
    except KeyportalError as error:
        say(f"Error: {sentence(error)}")
        return status_of(error)


def _refuse_broken_text(arguments: Sequence[str]) -> None:
    """Raise `StoppedError` for what no request can hold: arguments that are not text."""
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError as error:
        raise StoppedError("An argument is not valid UTF-8.", ExitStatus.USAGE) from error


def _show_usage(error: click.ClickException) -> ExitStatus:
    """Say what is wrong with the command line. What click says repeats arguments, which may hold a secret."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(error.format_message())
        return ExitStatus.USAGE
    if isinstance(error, click.UsageError) and error.ctx is not None:
        say(error.ctx.get_usage())
        say(f"Try “{error.ctx.command_path} --help”.\n")
    say(f"Error: {error.format_message()}")
    return ExitStatus.USAGE
