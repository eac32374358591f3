"""What reached the server of a request that asks for its diagnosis: names and counts, and no value of a header.

Django's environ has less: forwarded headers are interpreted already, odd names are left out, and equal ones are joined.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from audit.client_address import parse_address
from keyportal.http_server.request import Request

ARRIVAL: Final = "keyportal.arrival"


class Arrival(NamedTuple):
    """A request as it arrived. It is never shown as a whole, because the client chooses the names."""

    lines: Mapping[str, int]
    """How many lines of each header came, by the name that was sent, in lower case."""
    is_trusted: bool
    """Whether the peer is a trusted proxy."""
    is_encrypted: bool
    """Whether the connection to the portal is."""
    is_in_clear: bool
    """Whether others could have read the request on its way."""
    is_expected_host: bool
    """Whether the portal shows pages under the host that the request names."""
    names_client: bool = False
    """Whether X-Forwarded-For ends with an address, which may be the peer's own: of a client on the proxy's host."""

    def has(self, *names: str) -> bool:
        """Return whether any of these headers came."""
        return any(name in self.lines for name in names)


def arrival_of(request: Request) -> Arrival:
    """Return what arrived of a request, once its head is complete."""
    return Arrival(
        lines=Counter(name.decode("latin-1") for name, _ in request.headers),
        is_trusted=request.is_trusted,
        is_encrypted=request.scheme == "https",
        is_in_clear=request.arrived_in_clear(),
        is_expected_host=all(map(_is_expected, request.header_values(b"host"))),
        names_client=_ends_with_address(",".join(request.header_values(b"x-forwarded-for"))),
    )


def arrival_in(environ: Mapping[str, Any]) -> Arrival:
    """Return what the portal's server noted in the environ; from another server, what the environ itself says."""
    noted: Arrival | None = environ.get(ARRIVAL)
    if noted is not None:
        return noted
    names = (name.removeprefix("HTTP_").replace("_", "-").lower() for name in environ if name.startswith("HTTP_"))
    is_encrypted = environ.get("wsgi.url_scheme") == "https"
    return Arrival(
        lines=Counter(names),
        is_trusted=False,
        is_encrypted=is_encrypted,
        is_in_clear=not is_encrypted,
        is_expected_host=True,
    )


def _ends_with_address(forwarded: str) -> bool:
    return parse_address(forwarded.rpartition(",")[2].strip()) is not None


def _is_expected(host: str) -> bool:
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
