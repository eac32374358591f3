"""Findings about the connection: the client's address, the scheme and the host."""

from typing import Final

from django.conf import settings

from keyportal.diagnose.findings import Finding, Level
from keyportal.http_server.arrival import Arrival

ADDRESS: Final = "Client address"
SCHEME: Final = "Scheme"
HOST: Final = "Host"
FORWARDED_FOR: Final = "x-forwarded-for"
FORWARDED_PROTO: Final = "x-forwarded-proto"
OTHERS_OF_PROXIES: Final = ("forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip")
"""Headers in which some proxies name the client, and which the portal never reads."""
ASK_OPERATORS: Final = "Tell the portal's operators:"
NOT_TRUSTED: Final = "because it doesn't come from a trusted proxy"


def address_finding(arrival: Arrival, address: str, peer: str) -> Finding:
    """Return which address the portal sees, and where it has it from. Allowed networks of a key are compared with it.

    `peer` is the other end of the connection. It is not shown if it is a proxy that named another address.
    """
    if not address:
        return _without_address(arrival)
    if arrival.is_trusted and (address != peer or arrival.names_client):
        return Finding(
            ADDRESS, "address_forwarded", Level.GOOD, f"{address}, which a trusted proxy reported in X-Forwarded-For."
        )
    if arrival.is_trusted:
        return _proxys_own(arrival, address)
    if arrival.has(FORWARDED_FOR, *OTHERS_OF_PROXIES):
        return Finding(
            ADDRESS,
            "address_header_ignored",
            Level.WARNING,
            f"{address}, which connected to the portal. A header that names another address was ignored, "
            f"{NOT_TRUSTED}.",
            "If your program sends such a header, leave it out: it changes nothing. If the address is not yours but "
            "that of a proxy in front of the portal, its operators must list it in KEYPORTAL_TRUSTED_PROXIES.",
        )
    return Finding(ADDRESS, "address_direct", Level.GOOD, f"{address}, which connected to the portal.")


def scheme_finding(arrival: Arrival, scheme: str) -> Finding:
    """Return which scheme the portal sees, where it has it from, and whether others could have read the request."""
    is_reported = arrival.has(FORWARDED_PROTO)
    if is_reported and arrival.is_trusted:
        seen = f"{scheme}, which a trusted proxy reported in X-Forwarded-Proto."
    else:
        seen = f"{scheme}: the connection to the portal is {'encrypted' if arrival.is_encrypted else 'not encrypted'}."
    if is_reported and not arrival.is_trusted:
        seen += f" The header X-Forwarded-Proto was ignored, {NOT_TRUSTED}."
    if scheme == "https":
        return Finding(SCHEME, "scheme_https", Level.GOOD, seen)
    if not settings.HTTPS:
        return Finding(SCHEME, "scheme_http", Level.INFO, f"{seen} This portal runs in local mode, without https.")
    if not arrival.is_in_clear:
        return Finding(SCHEME, "scheme_http_private", Level.INFO, f"{seen} The operators allow that from your network.")
    return Finding(
        SCHEME, "scheme_http_in_clear", Level.DANGER, f"{seen} Others could read it on its way.", _use_https(arrival)
    )


def host_finding(arrival: Arrival) -> Finding:
    """Return whether the request names a host that the portal expects."""
    if arrival.is_expected_host:
        return Finding(HOST, "host_expected", Level.GOOD, "A name of this portal.")
    return Finding(
        HOST,
        "host_unexpected",
        Level.WARNING,
        "The Host header names a host that this portal doesn't expect.",
        f"Calls of the API work under any host, but pages are refused: open them at {settings.KEYPORTAL_URL}. For "
        "another name of the portal, its operators add the name to KEYPORTAL_HOSTS.",
    )


def _use_https(arrival: Arrival) -> str:
    advice = f"Use {settings.KEYPORTAL_URL}: over plain http, calls of the API are refused with https_required."
    if arrival.has("authorization"):
        advice += " Replace the credential that you sent: it crossed the network unencrypted."
    if arrival.has(FORWARDED_PROTO) and not arrival.is_trusted:
        advice += " If you did use https, its operators must list their proxy in KEYPORTAL_TRUSTED_PROXIES."
    return advice


def _without_address(arrival: Arrival) -> Finding:
    advice = (
        "the proxy sends no address in X-Forwarded-For."
        if arrival.is_trusted
        else "the proxy connects over a Unix socket, and KEYPORTAL_TRUSTED_PROXIES doesn't list `unix`."
    )
    return Finding(
        ADDRESS,
        "address_unknown",
        Level.WARNING,
        "None: the request came over a Unix socket.",
        f"{ASK_OPERATORS} {advice}",
    )


def _proxys_own(arrival: Arrival, address: str) -> Finding:
    if arrival.has(FORWARDED_FOR):
        why = "the header X-Forwarded-For that it sent doesn't end with an address"
    elif arrival.has(*OTHERS_OF_PROXIES):
        why = "it sent no X-Forwarded-For, but another header, which the portal doesn't read"
    else:
        why = "it sent no X-Forwarded-For"
    return Finding(
        ADDRESS,
        "address_of_proxy",
        Level.WARNING,
        f"{address}, which is a trusted proxy's own: {why}.",
        f"{ASK_OPERATORS} their proxy doesn't pass the client's address on, so all of its clients count as one.",
    )
