"""The exit statuses of the command. Scripts rely on them."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended."""

    DONE = 0
    REFUSED = 1
    """The portal refused, or something on this machine failed."""
    USAGE = 2
    NOT_LOGGED_IN = 3
    UNREACHABLE = 4
    """The portal did not answer, can't answer now, or is not a portal that this version knows."""
    COMMAND_FAILED = 5
    """The command of `rotate --exec` failed, and the overlap goes on."""
    INTERRUPTED = 130


class StoppedError(Exception):
    """A command that ends here, with a sentence for the person who ran it."""

    def __init__(self, message: str, status: ExitStatus = ExitStatus.REFUSED) -> None:
        super().__init__(message)
        self.status = status


class ClosedOutputError(StoppedError):
    """A result that nobody takes: standard output is closed, or a file can't be written."""
