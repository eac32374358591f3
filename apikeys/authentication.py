"""API key authentication for Django REST framework: `authentication_classes = [APIKeyAuthentication]`."""

from typing_extensions import override

from apikeys.verification import verify
from audit.client_address import Address
from credentials.bearer import BearerAuthentication
from credentials.kinds import Kind, kind_of
from credentials.record import VerifiedRecord


class APIKeyAuthentication(BearerAuthentication):
    """Authenticate `Authorization: Bearer kp_live_…`: a token that begins with the portal's brand is checked here."""

    @override
    def is_ours(self, token: str) -> bool:
        """Return whether the token has the portal's brand. A refresh token has it too, and is refused here."""
        return kind_of(token) in (Kind.API_KEY, Kind.REFRESH_TOKEN)

    @override
    def verify(self, token: str, *, address: Address | None) -> VerifiedRecord:
        return verify(token, address=address)
