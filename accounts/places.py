"""The place that a request comes from, as limits count it, and whether an account was used from there before."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Network, ip_address, ip_network
from typing import Final

from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.devices import known_device
from accounts.models import User
from audit.event_types import EventType
from audit.models import Event

SUBSCRIBER: Final = 64  # bits: the least that a provider assigns to a customer (RFC 6177)
NAT64: Final = IPv6Network("64:ff9b::/96")
"""The prefix whose last 32 bits are an IPv4 address (RFC 6052 §2.1)."""


@lru_cache(maxsize=4096)
def address_bucket(address: str) -> str:
    """Return the bucket of an address: the address itself, or for IPv6 its /64, which belongs to one customer.

    An IPv6 address that stands for an IPv4 address is counted as that: behind NAT64 all of IPv4 is one /64.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed in NAT64:
        return str(IPv4Address(int(parsed) & int(NAT64.hostmask)))
    return str(parsed.ipv4_mapped or ip_network((int(parsed), SUBSCRIBER), strict=False))


def bucket_of(request: HttpRequest) -> str:
    """Return the bucket of a request's client, whose address the portal's first middleware has resolved."""
    return address_bucket(request.META.get("REMOTE_ADDR", ""))


def known_place(request: HttpRequest, email: str) -> str:
    """Return the name of the place if this account has logged in from it before; empty for a new place.

    A place is a browser with the account's device cookie, or the address of an earlier log-in. An account that does not
    exist costs the same queries.
    """
    device = known_device(request, email)
    user_id = User.objects.filter(email=email).values_list("pk", flat=True).first()
    address = request.META.get("REMOTE_ADDR") or None
    from_here = log_ins(user_id).filter(address=address).exists()
    return device or (bucket_of(request) if from_here else "")


def log_ins(user_id: str | None) -> QuerySet[Event]:
    """Return the recorded log-ins of a user, by a browser and by a program."""
    return Event.objects.filter(verb__in=(EventType.LOGGED_IN, EventType.APP_LOGGED_IN), actor=f"user:{user_id}")
