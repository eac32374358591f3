"""Refusals as exceptions of Django REST framework, and scopes as its permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from typing_extensions import override

from credentials.admission import about_credential
from credentials.credential import Credential
from credentials.refusals import Refusal

if TYPE_CHECKING:
    # rest_framework.views reads the settings, which name this module: importing it here would be circular.
    from rest_framework.request import Request
    from rest_framework.views import APIView


class CredentialRefused(APIException):  # named like REST framework's NotAuthenticated
    """A refusal as an exception of REST framework: status, challenge, and a detail that repeats no input."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(detail=refusal.reason.title, code=refusal.code)
        self.refusal = refusal
        self.status_code = refusal.reason.status
        self.auth_header = refusal.challenge()


class HasCredential(BasePermission):
    """Allows requests with a valid credential, whatever its scopes. The default of every API view."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether an authentication class accepted a credential."""
        return isinstance(request.auth, Credential)


class _HasScopes(HasCredential):
    scopes: tuple[str, ...] = ()

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        credential = request.auth
        if not isinstance(credential, Credential):
            return False
        if not credential.scopes.issuperset(self.scopes):
            refusal = Refusal(code="insufficient_scope", scopes=self.scopes, about=about_credential(request._request))
            raise CredentialRefused(refusal)
        return True


def HasScope(*scopes: str) -> type[HasCredential]:  # noqa: N802  # used in place of a class
    """Return a permission class that requires all of these scopes.

    Use it as `permission_classes = [HasScope("reports:read")]`; it combines by `&` and `|` like any permission class.
    It raises `CredentialRefused`, which names the required scopes (RFC 6750 §3.1) and the credential.
    """
    return type("HasScope", (_HasScopes,), {"scopes": scopes})
