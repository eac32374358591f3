"""The portal at its public address, as a client reaches it."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

STEP_TIMEOUT: Final = 5.0
PLAIN_PORT: Final = 80
LONGEST: Final = 256 * 1024
"""Bytes that are read of an answer."""


class Reply(NamedTuple):
    """An answer, whatever its status. Redirects are not followed."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def header(self, name: str) -> str:
        """Return a header, or an empty text."""
        return self.headers.get(name, "")

    def json(self) -> Mapping[str, Any]:
        """Return the members of a JSON object; none if the body is something else."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Site:
    """The portal's public address."""

    def __init__(
        self,
        address: str,
        *,
        authorities: str | None = None,
        plain_port: int = PLAIN_PORT,
        step_timeout: float = STEP_TIMEOUT,
    ) -> None:
        """Take the address, a file of certificate authorities in place of the system's, and where http is answered.

        `step_timeout` is the number of seconds for each step of a request. Raises ValueError for what is no address,
        and OSError for a file that holds no certificates.
        """
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address begins with https:// or http:// and a host")
        self.scheme, self.host = parts.scheme, parts.hostname
        self.port = parts.port or (443 if self.is_encrypted else 80)
        self.name = parts.netloc
        self._plain_port = plain_port
        self._step_timeout = step_timeout
        self._context = ssl.create_default_context(cafile=authorities) if self.is_encrypted else None

    @property
    def is_encrypted(self) -> bool:
        """Whether the address is https."""
        return self.scheme == "https"

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """Send a request and return the answer. Raises OSError, which TLS errors are too."""
        return _reply(self._connection(), method, path, body, {"Connection": "close", **(headers or {})})

    def ask_in_clear(self, path: str, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Send a request over plain http to the same host. Raises OSError."""
        line = http.client.HTTPConnection(self.host, self._plain_port, timeout=self._step_timeout)
        return _reply(line, "GET", path, None, {"Connection": "close", "Host": self.host, **(headers or {})})

    def certificate(self, context: ssl.SSLContext | None = None) -> Mapping[str, Any]:
        """Make a TLS connection and return the certificate's members. Raises OSError."""
        chosen = context or self._context or ssl.create_default_context()
        with (
            closing(socket.create_connection((self.host, self.port), timeout=self._step_timeout)) as line,
            chosen.wrap_socket(line, server_hostname=self.host) as encrypted,
        ):
            return encrypted.getpeercert() or {}

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=self._step_timeout)
        return http.client.HTTPSConnection(self.host, self.port, timeout=self._step_timeout, context=self._context)


def _reply(
    line: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> Reply:
    with closing(line):
        try:
            line.request(method, path, body, dict(headers))
            answer = line.getresponse()
            return Reply(answer.status, answer.headers, answer.read(LONGEST))
        except http.client.HTTPException as error:
            raise ConnectionError(type(error).__name__) from None  # the error would quote what was received
