"""What goes back over the wire, in HTTP/1.1 (RFC 9112)."""

from collections.abc import Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Answer(NamedTuple):
    """Status, headers and body."""

    status: int
    headers: Sequence[tuple[str, str]]
    """All but Content-Length, Date and Connection."""
    body: bytes = b""
    length: int | None = None
    """Bytes of the body, where the answer is to HEAD and has none."""
    lines: str = ""
    """More headers, as `header_lines` writes them: the same for many answers."""


def header_lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return headers as they go over the wire. Raises ValueError for one that would be two."""
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    written = "".join(lines)
    if written.count("\n") != len(lines) or written.count("\r") != len(lines):
        raise ValueError("a header with a line break in it")
    return written


class Writer:
    """Writes answers out; knows what time it is."""

    def __init__(self) -> None:
        self.date = ""
        self.tick()

    def tick(self) -> None:
        """Look at the clock: the date of every answer until the next look."""
        self.date = f"date: {formatdate(usegmt=True)}\r\n"

    def written(self, answer: Answer, *, method: str, connection: str) -> bytes:
        """Return an answer as bytes. `connection` is what that header says; empty for none.

        Raises ValueError for a header that would be two.
        """
        others = header_lines(answer.headers) if answer.headers else ""
        head = f"{STATUS_LINES[answer.status]}{answer.lines}{others}{self.date}"
        if connection:
            head += f"connection: {connection}\r\n"
        is_bodiless = answer.status in BODILESS
        if not is_bodiless:
            head += f"content-length: {len(answer.body) if answer.length is None else answer.length}\r\n"
        encoded = f"{head}\r\n".encode("latin-1")
        return encoded if is_bodiless or method == "HEAD" else encoded + answer.body
