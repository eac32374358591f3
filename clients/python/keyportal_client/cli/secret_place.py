"""Where a new secret goes: to standard output alone, or into a private file. Never anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keyportal_client.cli.exit_status import ClosedOutputError, ExitStatus, StoppedError
from keyportal_client.cli.output import emit, emit_json, say
from keyportal_client.cli.private_file import PrivateFile
from keyportal_client.errors import UnavailableError, UnexpectedAnswerError, UnreachableError
from keyportal_client.shapes import Key


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Takes one secret."""

    file: PrivateFile | None
    path: str
    as_json: bool

    def keep(self, secret: str) -> None:
        """Write the secret into the file, if there is one. Raises `ClosedOutputError`."""
        if self.file is None:
            return
        try:
            self.file.write(secret)
        except OSError as error:
            raise ClosedOutputError(f"The secret could not be written to {self.path}: {error.strerror}.") from error
        say(f"The secret is in {self.path}, readable by you alone.")

    def show(self, key: Key, secret: str) -> None:
        """Write to standard output: the secret, unless it is in the file; with `--json` the key around it."""
        if self.as_json:
            emit_json(key if self.file is not None else {**key, "secret": secret})
        elif self.file is None:
            emit(secret)


@contextmanager
def secret_place(path: str | None, *, as_json: bool) -> Iterator[SecretPlace]:
    """Yield where the secret goes. A file that can't be written ends the command before there is a secret."""
    if path is None:
        yield SecretPlace(None, "", as_json)
        return
    file = PrivateFile(Path(path))
    try:
        file.__enter__()
    except OSError as error:
        raise StoppedError(f"{path} can't be written: {error.strerror}.", ExitStatus.USAGE) from error
    try:
        yield SecretPlace(file, path, as_json)
    finally:
        file.__exit__(None, None, None)


@contextmanager
def repeatable(idempotency_key: str) -> Iterator[None]:
    """Say how to get the secret after all, if the portal may have made it and this command does not have it."""
    try:
        yield
    except BaseException as error:
        if _may_be_done(error):
            say(
                "The portal may have done it. To get the secret, run the same command again within a day with "
                f"--idempotency-key {idempotency_key}"
            )
        raise


def _may_be_done(error: BaseException) -> bool:
    if isinstance(error, UnreachableError):
        return error.was_sent
    return isinstance(error, ClosedOutputError | UnexpectedAnswerError | UnavailableError | KeyboardInterrupt)
