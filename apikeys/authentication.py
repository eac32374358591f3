"""API keys in Django REST framework: `authentication_classes = [APIKeyAuthentication]`."""

from apikeys.verification import KeyRecord, verify
from credentials.bearer import BearerAuthentication
from credentials.client_address import Address
from credentials.kinds import Kind, kind_of


class APIKeyAuthentication(BearerAuthentication):
    """`Authorization: Bearer kp_live_…`: everything that begins with the portal's brand is for this class to judge."""

    def is_ours(self, token: str) -> bool:
        """Tell a secret by its brand; a refresh token is one that is of no use here."""
        return kind_of(token) in (Kind.API_KEY, Kind.REFRESH_TOKEN)

    def verify(self, token: str, *, address: Address | None) -> KeyRecord:
        """Give the record of a key that is good. Raises `RefusedError`."""
        return verify(token, address=address)
