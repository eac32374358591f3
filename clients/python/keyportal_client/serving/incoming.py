"""What a request says about who sent it, read alike from WSGI and from ASGI."""

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyportal_client.errors import CredentialRefusedError
from keyportal_client.refusals import Refusal
from keyportal_client.serving.networks import Networks
from keyportal_client.verifying.client_address import client_address


@dataclass(slots=True, eq=False)  # one is made for each request, and to freeze it costs more than all else
class Incoming:
    """A request. Its `repr` shows nothing that was sent."""

    peer: str | None
    """The address of the other end of the connection; None or empty for a Unix socket."""
    values: Callable[[str], Sequence[str]] = field(repr=False)
    """Returns what was sent under a header's name, each line by itself where the server tells them apart."""
    notes: MutableMapping[str, Any] = field(repr=False)
    """The place for what is found out about this request. No client can write there."""

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


def of_environ(variables: MutableMapping[str, Any]) -> Incoming:
    """Return a request of WSGI, or of Django, which has the same names. Servers join repeated headers by commas."""

    def values(name: str) -> Sequence[str]:
        value = variables.get("HTTP_" + name.upper().replace("-", "_"))
        return () if value is None else (value,)

    return Incoming(variables.get("REMOTE_ADDR"), values, variables)


def of_scope(scope: MutableMapping[str, Any]) -> Incoming:
    """Return a request or handshake of ASGI."""

    def values(name: str) -> Sequence[str]:
        wanted = name.lower().encode()
        return [value.decode("latin-1") for each, value in scope.get("headers", ()) if each.lower() == wanted]

    return Incoming((scope.get("client") or (None,))[0], values, scope)
