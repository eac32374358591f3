"""Responses as HTTP/1.1 sends them (RFC 9112)."""

from collections.abc import Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Response(NamedTuple):
    """A response: status, headers and body."""

    status: int
    headers: Sequence[tuple[str, str]]
    """All but Content-Length, Date and Connection."""
    body: bytes = b""
    length: int | None = None
    """The Content-Length, in bytes, of a response to HEAD, which has no body."""
    lines: str = ""
    """More headers, already formatted by `header_lines`, because many responses share them."""


def header_lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return headers as HTTP/1.1 sends them. Raises ValueError for a header with a line break in it."""
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    written = "".join(lines)
    if written.count("\n") != len(lines) or written.count("\r") != len(lines):
        raise ValueError("a header with a line break in it")
    return written


class Writer:
    """Writes responses, with the current date."""

    def __init__(self) -> None:
        self.date = ""
        self.tick()

    def tick(self) -> None:
        """Update the date, which every response has until the next update."""
        self.date = f"date: {formatdate(usegmt=True)}\r\n"

    def serialize(self, response: Response, *, method: str, connection: str) -> bytes:
        """Return a response as bytes. `connection` is the value of that header; empty for none.

        Raises ValueError for a header with a line break in it.
        """
        others = header_lines(response.headers) if response.headers else ""
        head = f"{STATUS_LINES[response.status]}{response.lines}{others}{self.date}"
        if connection:
            head += f"connection: {connection}\r\n"
        is_bodiless = response.status in BODILESS
        if not is_bodiless:
            head += f"content-length: {len(response.body) if response.length is None else response.length}\r\n"
        encoded = f"{head}\r\n".encode("latin-1")
        return encoded if is_bodiless or method == "HEAD" else encoded + response.body
