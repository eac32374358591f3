"""Authentication by signed token and by password in Django REST framework; each view names the classes it takes.

`authentication_classes = [APIKeyAuthentication, AccessTokenAuthentication]` takes both kinds of Bearer credential.
"""

from typing import ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from typing_extensions import override

from accounts.models import User
from audit.client_address import Address
from credentials.bearer import BearerAuthentication
from credentials.kinds import Kind, kind_of
from credentials.permissions import CredentialRefused
from credentials.record import VerifiedRecord
from credentials.refusals import Refusal, RefusedError
from tokens.audiences import ANY, AudienceRequest
from tokens.basic import basic_credentials
from tokens.password_login import log_in
from tokens.verification import verify

REALM = Refusal(
    code="missing_credential",
    scheme="Basic",
    about={"detail": "Send an account's e-mail address and password with HTTP Basic."},
)


class AccessTokenAuthentication(BearerAuthentication):
    """Authenticate `Authorization: Bearer eyJ…`. Every token with a dot in it, which no API key has, is checked here.

    It takes tokens for the portal's own audience. A service with another audience sets `audience` in a subclass.
    """

    audience: ClassVar[AudienceRequest] = None

    @override
    def is_ours(self, token: str) -> bool:
        """Return whether the token has the form of an access token."""
        return kind_of(token) is Kind.ACCESS_TOKEN

    @override
    def verify(self, token: str, *, address: Address | None) -> VerifiedRecord:
        return verify(token, address=address, audience=self.audience)


class AnyAudienceAuthentication(AccessTokenAuthentication):
    """Authenticate a token for any audience, on an endpoint that ends the token and does not use it."""

    audience = ANY


class PasswordAuthentication(BaseAuthentication):
    """HTTP Basic (RFC 7617) with an account's e-mail address and password, accepted by the auth endpoint only."""

    @override
    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return the user, or None for a request without Basic. Raises `CredentialRefused`."""
        header: str | None = request.META.get("HTTP_AUTHORIZATION")
        try:
            login = basic_credentials(header)
            if login is None:
                return None
            return log_in(request._request, *login), None
        except RefusedError as error:
            raise CredentialRefused(error.refusal) from None

    @override
    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of RFC 7617 §2."""
        return REALM.challenge()
