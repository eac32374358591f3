"""Where a credential may be sent: to the API that it is for, over https, or over http on this machine."""

from typing import Final
from urllib.parse import urlsplit

from keyportal_client.address import PortalAddress
from keyportal_client.errors import AddressError

_MESSAGE: Final = (
    "Name the API that the credential is for, such as https://api.example.com. It is sent over https, or over http on "
    "this machine."
)


class Origins:
    """Schemes, hosts and ports."""

    def __init__(self, apis: tuple[str, ...]) -> None:
        if not apis:
            raise AddressError(_MESSAGE)
        self._all = frozenset(map(_origin, apis))

    def __contains__(self, url: str) -> bool:
        try:
            return _origin(url) in self._all
        except AddressError:
            return False

    def __str__(self) -> str:
        return ", ".join(sorted(map(str, self._all)))


def _origin(url: str) -> PortalAddress:
    """Return what of a URL says where it goes. Raises `AddressError`, without anything of the URL."""
    try:
        parts = urlsplit(url)
        return PortalAddress.parse(f"{parts.scheme}://{parts.netloc}")
    except (ValueError, AddressError):
        raise AddressError(_MESSAGE) from None
