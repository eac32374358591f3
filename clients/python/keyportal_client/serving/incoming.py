"""What a request says about who sent it, read alike from WSGI and from ASGI."""

from abc import ABC, abstractmethod
from collections.abc import MutableMapping, Sequence
from typing import Any

from keyportal_client.errors import CredentialRefusedError
from keyportal_client.refusals import Refusal
from keyportal_client.serving.networks import Networks
from keyportal_client.verifying.client_address import client_address


class Incoming(ABC):
    """A request. Its `repr` shows nothing that was sent."""

    __slots__ = ("notes",)

    def __init__(self, notes: MutableMapping[str, Any]) -> None:
        self.notes = notes
        """The place for what is found out about this request. No client can write there."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {self.peer}>"

    @property
    @abstractmethod
    def peer(self) -> str | None:
        """The address of the other end of the connection; None or empty for a Unix socket."""

    @abstractmethod
    def values(self, name: str) -> Sequence[str]:
        """Return what was sent under a header's name, each line by itself where the server tells them apart."""

    def value(self, name: str) -> str | None:
        """Return the value of a header that may be there once. Raises `CredentialRefusedError`."""
        values = self.values(name)
        if len(values) > 1:
            del values  # what is raised has this frame
            raise CredentialRefusedError(Refusal("malformed_request"))
        return values[0] if values else None

    def client_ip(self, proxies: Networks) -> str | None:
        """Return the client's address: the peer's, or behind a trusted proxy the first untrusted one from the right.

        What is no address ends the walk: what stands left of it was not written by a trusted proxy.
        """
        address = self.peer
        if address not in proxies:
            return address
        for hop in reversed(",".join(self.values("X-Forwarded-For")).split(",")):
            found = client_address(hop.strip())
            if found.address is None:
                return address
            address = found.text
            if address not in proxies:
                return address
        return address


class EnvironRequest(Incoming):
    """A request of WSGI, or of Django, which has the same names. Servers join repeated headers by commas."""

    __slots__ = ()

    @property
    def peer(self) -> str | None:
        """The address that the server saw."""
        peer: str | None = self.notes.get("REMOTE_ADDR")
        return peer

    def values(self, name: str) -> Sequence[str]:
        """Return the value, if there is one."""
        value = self.notes.get("HTTP_" + name.upper().replace("-", "_"))
        return () if value is None else (value,)


class ScopeRequest(Incoming):
    """A request or handshake of ASGI."""

    __slots__ = ()

    @property
    def peer(self) -> str | None:
        """The address that the server saw."""
        client = self.notes.get("client")
        return client[0] if client else None

    def values(self, name: str) -> Sequence[str]:
        """Return the value of each line."""
        wanted = name.lower().encode()
        found = []
        for each, value in self.notes.get("headers", ()):
            if each.lower() == wanted:
                found.append(value.decode("latin-1"))
        return found
