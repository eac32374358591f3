"""The border to Django REST framework: refusals as its exceptions, scopes as its permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission

from credentials.credential import Credential
from credentials.refusals import Refusal

if TYPE_CHECKING:
    # rest_framework.views reads the settings, which name this module: importing it here would go round in a circle.
    from rest_framework.request import Request
    from rest_framework.views import APIView


class CredentialRefused(APIException):  # named like REST framework's NotAuthenticated
    """A refusal as REST framework raises it: status, challenge, and a detail without anything that was sent."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(detail=refusal.reason.title, code=refusal.code)
        self.refusal = refusal
        self.status_code = refusal.reason.status
        self.auth_header = refusal.challenge()


class HasCredential(BasePermission):
    """Lets a request in that proved a credential, whatever its scopes. The default of every view of the API."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether an authentication class gave a credential."""
        return isinstance(request.auth, Credential)


class _HasScopes(HasCredential):
    scopes: tuple[str, ...] = ()

    def has_permission(self, request: Request, view: APIView) -> bool:
        credential = request.auth
        if not isinstance(credential, Credential):
            return False
        if not credential.scopes.issuperset(self.scopes):
            raise CredentialRefused(Refusal(code="insufficient_scope", scopes=self.scopes))
        return True


def HasScope(*scopes: str) -> type[HasCredential]:  # noqa: N802  # it stands where a class stands
    """Give a permission class that lets a credential in that has all of these scopes.

    `permission_classes = [HasScope("reports:read")]`. It combines by `&` and `|` as every permission class does. It
    raises `CredentialRefused` with the scopes that are needed (RFC 6750 §3.1).
    """
    return type("HasScope", (_HasScopes,), {"scopes": scopes})
