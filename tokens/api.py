"""Version 1 of the tokens' API: log in, refresh, revoke."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from django.conf import settings
from django.http import Http404
from rest_framework import status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import override

from accounts.models import User
from accounts.names import printable
from apikeys.authentication import APIKeyAuthentication
from audit.origin import Origin
from credentials.bearer import bearer_token
from credentials.credential import Credential
from credentials.permissions import CredentialRefused, HasCredential
from credentials.refusals import Refusal
from tokens import services
from tokens.authentication import REALM, AnyAudienceAuthentication, PasswordAuthentication
from tokens.errors import InvalidGrantError, InvalidScopeError, InvalidTargetError, TokensError
from tokens.revocation import end_credential
from tokens.serializers import LogInSerializer, RefreshSerializer

AGENT_LENGTH = 200
REFUSALS: Final[Mapping[type[TokensError], Refusal]] = {
    InvalidGrantError: Refusal(code="invalid_grant"),
    InvalidScopeError: Refusal(code="invalid_scope"),
    InvalidTargetError: Refusal(code="invalid_target", pointer="/resource"),
}
"""The refusal with which each error of a verb is answered."""


class HasLoggedIn(BasePermission):
    """Allow requests that have just proved a password."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True if there is a user. Raises `CredentialRefused` with the Basic challenge if there is none."""
        if not isinstance(request.user, User):
            raise CredentialRefused(REALM)
        return True


class TokensView(APIView):
    """`POST` issues an access and a refresh token for a password. `DELETE` revokes the credential that calls it."""

    @override
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer 404 to POST if it is switched off, and refuse content types that an HTML form can send.

        A browser adds stored Basic credentials even to a form posted from another site.
        """
        if request.method == "POST":
            if not settings.KEYPORTAL_PASSWORD_TOKENS:
                raise Http404
            if request._request.content_type not in ("", "application/json"):
                raise UnsupportedMediaType(request._request.content_type or "")
        super().initial(request, *args, **kwargs)

    @override
    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return password authentication for POST, else any Bearer credential: a token of any audience can be ended."""
        if self.request.method == "POST":
            return [PasswordAuthentication()]
        return [APIKeyAuthentication(), AnyAudienceAuthentication()]

    @override
    def get_permissions(self) -> Sequence[Any]:
        """Return the permission that fits the method's authentication."""
        return [HasLoggedIn()] if self.request.method == "POST" else [HasCredential()]

    def post(self, request: Request) -> Response:
        """Return 200 with a pair of tokens in the format of RFC 6749 §5.1."""
        values = LogInSerializer.validate_data(request.data)
        user = cast("User", request.user)
        origin = Origin.of_request(request._request, actor=f"user:{user.pk}")
        agent = printable(request.META.get("HTTP_USER_AGENT", ""))[:AGENT_LENGTH]
        try:
            tokens = services.issue_to_user(user=user, agent=agent, origin=origin, **_optional_members(values))
        except TokensError as error:
            raise CredentialRefused(REFUSALS[type(error)]) from None
        return tokens_response(tokens)

    def delete(self, request: Request) -> Response:
        """Return 204 after revoking the credential in the header, with everything issued from the same log-in."""
        credential = cast("Credential", request.auth)
        by_person = credential.client_id == services.PORTAL_CLIENT
        actor = f"user:{credential.owner_id}" if by_person else f"key:{credential.client_id}"
        origin = Origin.of_request(request._request, actor=actor)
        end_credential(bearer_token(request.META) or "", client_id=None, origin=origin)
        return Response(status=status.HTTP_204_NO_CONTENT)


class RefreshView(APIView):
    """`POST {"refresh_token": …}` returns the next pair. The token in the body is the only authentication."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        """Return 200 with the next pair, or 400 `invalid_grant` for any token that can't be refreshed."""
        values = RefreshSerializer.validate_data(request.data)
        origin = Origin.of_request(request._request, actor="client:portal")
        try:
            tokens = services.refresh(
                secret=values["refresh_token"], client_id=None, origin=origin, **_optional_members(values)
            )
        except TokensError as error:
            raise CredentialRefused(REFUSALS[type(error)]) from None
        return tokens_response(tokens)


def _optional_members(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the requested scopes and resource; None for each that was not requested."""
    return {"scopes": values.get("scopes"), "resource": values.get("resource")}


def tokens_response(tokens: services.TokenResponse) -> Response:
    """Return the response of RFC 6749 §5.1, which must not be stored."""
    return Response(tokens.members(), headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
