"""Whether a service is on this host, where nobody reads along."""

from ipaddress import ip_address


def is_on_this_host(host: str) -> bool:
    """Return whether a host name means this host: empty, a folder of Unix sockets, or the loopback interface."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
