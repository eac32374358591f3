"""API v1 of the tokens: log in, refresh, end."""

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

from accounts.models import User
from accounts.names import printable
from accounts.origin import Origin
from apikeys.authentication import APIKeyAuthentication
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
"""How a verb's refusal is told."""


class HasLoggedIn(BasePermission):
    """Lets in whoever has just shown a password."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether there is a user. Raises `CredentialRefused` with the Basic challenge if there is none."""
        if not isinstance(request.user, User):
            raise CredentialRefused(REALM)
        return True


class TokensView(APIView):
    """`POST`: an access and a refresh token for a password. `DELETE`: the end of the credential that calls it."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let POST be switched off, and refuse what an HTML form of another site could send (a browser keeps Basic)."""
        if request.method == "POST":
            if not settings.KEYPORTAL_PASSWORD_TOKENS:
                raise Http404
            if request._request.content_type not in ("", "application/json"):
                raise UnsupportedMediaType(request._request.content_type or "")
        super().initial(request, *args, **kwargs)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Take a password for POST, any Bearer credential for the rest: whomever a token is for, it can be ended."""
        if self.request.method == "POST":
            return [PasswordAuthentication()]
        return [APIKeyAuthentication(), AnyAudienceAuthentication()]

    def get_permissions(self) -> Sequence[Any]:
        """Ask for what the method takes."""
        return [HasLoggedIn()] if self.request.method == "POST" else [HasCredential()]

    def post(self, request: Request) -> Response:
        """Answer 200 with a pair of tokens in the shape of RFC 6749 §5.1."""
        asked = LogInSerializer.checked(request.data)
        user = cast("User", request.user)
        origin = Origin.of_request(request._request, actor=f"user:{user.pk}")
        agent = printable(request.META.get("HTTP_USER_AGENT", ""))[:AGENT_LENGTH]
        try:
            issued = services.issue_to_user(user=user, agent=agent, origin=origin, **_wishes(asked))
        except TokensError as error:
            raise CredentialRefused(REFUSALS[type(error)]) from None
        return tokens_response(issued)

    def delete(self, request: Request) -> Response:
        """Answer 204: the credential in the header is good no more, nor is what came from the same log-in."""
        credential = cast("Credential", request.auth)
        by_person = credential.client_id == services.PORTAL_CLIENT
        actor = f"user:{credential.owner_id}" if by_person else f"key:{credential.client_id}"
        origin = Origin.of_request(request._request, actor=actor)
        end_credential(bearer_token(request.META) or "", client_id=None, origin=origin)
        return Response(status=status.HTTP_204_NO_CONTENT)


class RefreshView(APIView):
    """`POST {"refresh_token": …}`: the next pair. The token in the body is all the authentication that there is."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        """Answer 200 with the next pair; 400 `invalid_grant` for whatever is no good."""
        asked = RefreshSerializer.checked(request.data)
        origin = Origin.of_request(request._request, actor="client:portal")
        try:
            issued = services.refresh(secret=asked["refresh_token"], client_id=None, origin=origin, **_wishes(asked))
        except TokensError as error:
            raise CredentialRefused(REFUSALS[type(error)]) from None
        return tokens_response(issued)


def _wishes(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return which scopes and which resource were asked for; None for no wish."""
    return {"scopes": asked.get("scopes"), "resource": asked.get("resource")}


def tokens_response(issued: services.Issued) -> Response:
    """Give the answer of RFC 6749 §5.1, which nobody stores."""
    return Response(issued.as_answer(), headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
