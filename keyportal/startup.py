"""What a server process prints when it starts, and why it may refuse to."""

import sys
from collections.abc import Iterable

from django.core.checks import ERROR, WARNING, CheckMessage, run_checks
from django.db import Error as DatabaseError
from django.db import connections

from keyportal.errors.redacted_errors import in_short
from keyportal.http.static_files import collect_if_outdated


def confirm_configuration() -> None:
    """Exit if the configuration is wrong, and print warnings. Runs once, before there are workers."""
    found = run_checks(tags=["keyportal"])
    notes = [_line("warning", message) for message in found if WARNING <= message.level < ERROR]
    try:
        found += run_checks(tags=["database"], databases=["default"])
    except DatabaseError as error:
        # It may come up later. Until the rings are known to fit, every response but /healthz's is a 503.
        notes.append(f"keyportal: the database can't be reached yet ({in_short(error)})")
    connections.close_all()  # this thread answers nothing: it would never look whether the database is another one
    errors = [_line("does not start", message) for message in found if message.level >= ERROR]
    if errors:
        sys.exit("\n".join(errors))
    _print(notes)


def prepare_static_files() -> None:
    """Collect the static files if necessary, before any process looks for them, and print the outcome."""
    sentence = collect_if_outdated()
    if sentence:
        _print([f"keyportal: {sentence}"])


def _line(what: str, message: CheckMessage) -> str:
    return f"keyportal {what}: {message.id} {message.msg} {message.hint or ''}".rstrip()


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stderr.write(f"{line}\n")
