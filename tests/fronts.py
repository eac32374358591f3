"""The portal itself behind a proxy that ends TLS."""

import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.gateways import portal_behind_caddy, portal_behind_nginx
from tests.oauth_client import ClientKey
from tests.portal import Portal
from tests.wire import Reply, exchange, head, wire

OWNER: Final = "tls@example.com"
PASSWORD: Final = "correct horse battery staple"
START: Final = {"nginx": portal_behind_nginx, "caddy": portal_behind_caddy}


class Front(NamedTuple):
    """A proxy, and the portal behind it."""

    name: str
    port: int
    plain: int
    portal: Portal
    client: ClientKey
    tls: ssl.SSLContext
    folder: Path

    def request(self, method: str, path: str, *lines: str, body: bytes = b"", source: str = "127.0.0.1") -> Reply:
        """Send a request by https."""
        length = [f"Content-Length: {len(body)}"] if body else []
        return exchange(self.port, head(method, path, *length, *lines) + body, tls=self.tls, source=source)

    def request_each(
        self, method: str, path: str, every: Iterable[list[str]], *lines: str, source: str = "127.0.0.1"
    ) -> Iterator[tuple[list[str], Reply]]:
        """Send one request for each of these lines over one connection; return the lines and the answers."""
        with wire(self.port, tls=self.tls, source=source) as line:
            for more in every:
                yield more, line.send(head(method, path, *lines, *more, close=False)).reply()

    def answered(self) -> int:
        """Return how many requests the portal has answered; its log has other lines, that of its mail for one."""
        return self.portal.log.read_text().count('"logger": "keyportal.access"')

    def bearer(self) -> str:
        return f"Authorization: Bearer {self.client.secret}"
