"""Where somebody comes from, as limits count it, and whether their account was ever used from there."""

from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.db.models import Q
from django.http import HttpRequest

from accounts.devices import known_device
from accounts.models import AuditEvent, User

IPV6 = 6
SUBSCRIBER = 64  # bits: what a provider gives one customer at least (RFC 6177)


@lru_cache(maxsize=4096)
def address_bucket(address: str) -> str:
    """Return what an address is counted as: itself, or for IPv6 its /64, in which one customer has them all."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == IPV6:
        return str(ip_network((int(parsed), SUBSCRIBER), strict=False))
    return str(parsed)


def bucket_of(request: HttpRequest) -> str:
    """Return what the client of a request is counted as; the portal's first middleware has resolved its address."""
    return address_bucket(request.META.get("REMOTE_ADDR", ""))


def known_place(request: HttpRequest, email: str) -> str:
    """Return a name for the place if this account was logged in to from it before, empty for one that is new to it.

    A place is a browser that holds the account's device cookie, or an address of an earlier log-in. An account that
    does not exist is looked up all the same.
    """
    device = known_device(request, email)
    user_id = User.objects.filter(email=email).values_list("pk", flat=True).first()
    came_in = Q(verb="logged_in") | Q(verb="token_issued")
    address = request.META.get("REMOTE_ADDR") or None
    from_here = AuditEvent.objects.filter(came_in, actor=f"user:{user_id}", address=address).exists()
    return device or (bucket_of(request) if from_here else "")
