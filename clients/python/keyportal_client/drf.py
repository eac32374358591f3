"""Protect views of Django REST framework. `request.auth` is the credential, `request.user` its owner.

    class ReportsView(APIView):
        authentication_classes = [KeyportalAuthentication]
        permission_classes = [HasScope("reports:read")]

The settings are those of `keyportal_client.django`. EXCEPTION_HANDLER = "keyportal_client.drf.exception_handler" among
REST framework's own makes refusals problem details.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import views
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from keyportal_client.credential import Credential
from keyportal_client.django import authenticator, find_user
from keyportal_client.errors import CredentialRefusedError
from keyportal_client.refusals import Refusal
from keyportal_client.serving.incoming import EnvironRequest
from keyportal_client.serving.options import check_needs
from keyportal_client.verifying.assertions import not_enough
from keyportal_client.verifying.requirements import requirements


@dataclass(frozen=True)
class Owner:
    """The user of a request where the setting KEYPORTAL_USER names no function. It has no row and no permission."""

    id: str
    """The owner's public id: `usr_…`."""
    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    @property
    def pk(self) -> str:
        """The same id: REST framework counts calls by it."""
        return self.id

    def has_perm(self, permission: str, obj: object = None) -> bool:
        """Return False: what a credential may do, its scopes say."""
        return False

    def has_perms(self, permissions: object, obj: object = None) -> bool:
        """Return False."""
        return False


class CredentialRefused(APIException):  # named like REST framework's NotAuthenticated
    """A refusal as an exception of REST framework: status, challenge, and a detail that repeats no input."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(detail=refusal.reason.title, code=refusal.code)
        self.refusal = refusal
        self.status_code = refusal.status
        self.auth_header = refusal.challenge()
        self.wait = refusal.retry_after


class KeyportalAuthentication(BaseAuthentication):
    """Authenticates by the credential that the settings trust: `Authorization: Bearer …`, or what a gateway says.

    Without one, it leaves the request to the view's other classes. A bad one ends it.
    """

    def authenticate(self, request: Request) -> tuple[Any, Credential] | None:
        """Return owner and credential. Raises `CredentialRefused`."""
        try:
            credential = authenticator().authenticate(EnvironRequest(request.META))
        except CredentialRefusedError as error:
            refusal = error.refusal
        else:
            find = find_user()
            return Owner(credential.owner_id) if find is None else find(credential), credential
        if refusal.code == "missing_credential":
            return None
        raise CredentialRefused(refusal)

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge for a request without a credential (RFC 6750 §3)."""
        return Refusal("missing_credential").challenge()


class HasCredential(BasePermission):
    """Allows requests with a good credential, whatever its scopes."""

    def has_permission(self, request: Request, view: views.APIView) -> bool:
        """Return whether `KeyportalAuthentication` accepted a credential."""
        return isinstance(request.auth, Credential)


class _HasScopes(HasCredential):
    scopes: tuple[str, ...] = ()

    def has_permission(self, request: Request, view: views.APIView) -> bool:
        credential = request.auth
        if not isinstance(credential, Credential):
            return False
        refusal = not_enough(credential, requirements(self.scopes, None))
        if refusal is not None:
            raise CredentialRefused(refusal)
        return True


def HasScope(*scopes: str) -> type[HasCredential]:  # noqa: N802  # used in place of a class
    """Return a permission class that requires all of these scopes.

    Use it as `permission_classes = [HasScope("reports:read")]`; it combines with others by `&`. It raises
    `CredentialRefused`, which names the required scopes (RFC 6750 §3.1), so that after `|` no other is asked.
    """
    check_needs(scopes, None)
    return type("HasScope", (_HasScopes,), {"scopes": scopes})


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> HttpResponseBase | None:
    """Return problem details for a refusal; for everything else, what REST framework answers itself."""
    refusal = _refusal_of(exc, context)
    if refusal is None:
        return views.exception_handler(exc, dict(context))
    views.set_rollback()
    status, headers, body = authenticator().respond(refusal)
    return HttpResponse(body, status=status, headers=headers)


def _refusal_of(exc: Exception, context: Mapping[str, Any]) -> Refusal | None:
    """Return why a request was refused, if this package refused it or could have let it in."""
    if isinstance(exc, CredentialRefused):
        return exc.refusal
    request = context["request"]
    is_ours = any(isinstance(each, KeyportalAuthentication) for each in request.authenticators)
    return Refusal("missing_credential") if is_ours and isinstance(exc, NotAuthenticated) else None
