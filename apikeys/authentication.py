"""API keys in Django REST framework: `authentication_classes = [APIKeyAuthentication]`."""

from django.conf import settings

from apikeys.verification import KeyRecord, verify
from credentials.bearer import BearerAuthentication
from credentials.client_address import Address


class APIKeyAuthentication(BearerAuthentication):
    """`Authorization: Bearer kp_live_…`: everything that begins with the portal's brand is for this class to judge."""

    def is_ours(self, token: str) -> bool:
        """Tell a secret by its brand."""
        return token.startswith(f"{settings.KEYPORTAL_BRAND}_")

    def verify(self, token: str, *, address: Address | None) -> KeyRecord:
        """Give the record of a key that is good. Raises `RefusedError`."""
        return verify(token, address=address)
