"""API keys in Django REST framework: `authentication_classes = [APIKeyAuthentication]`."""

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.models import User
from apikeys.verification import verify
from credentials.bearer import bearer_token
from credentials.client_address import parse_address
from credentials.credential import Credential
from credentials.permissions import CredentialRefused
from credentials.refusals import RefusedError, refused

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class APIKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer kp_live_…` → `request.user` is the owner, `request.auth` the credential.

    None for a header that is not ours (no credential, or another kind); raises for ours and bad.
    """

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        """Give owner and credential. Raises `CredentialRefused`, or `django.db.Error` when the database is away."""
        try:
            token = bearer_token(request.META)
            if token is None:
                return None
            if _carries_another(request):
                raise refused("malformed_request")
            if not token.startswith(f"{settings.KEYPORTAL_BRAND}_"):
                return None
            # REMOTE_ADDR is the resolved client: the portal's first middleware saw to it.
            record = verify(token, address=parse_address(request.META.get("REMOTE_ADDR", "")))
        except RefusedError as error:
            raise CredentialRefused(error.refusal) from None
        return record.owner, record.credential

    def authenticate_header(self, request: Request) -> str:
        """Give the challenge for a request without a credential (RFC 6750 §3)."""
        return 'Bearer realm="keyportal"'


def _carries_another(request: Request) -> bool:
    """Tell whether a form in the body carries a second credential (RFC 6750 §2.2)."""
    django_request = request._request
    return django_request.content_type in FORM_TYPES and "access_token" in django_request.POST
