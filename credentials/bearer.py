"""The Authorization header of RFC 6750: exactly one credential, in exactly one way; and what reads it on a view."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qs

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.models import User
from credentials.admission import Verified, admit
from credentials.client_address import Address, parse_address
from credentials.credential import Credential
from credentials.permissions import CredentialRefused
from credentials.refusals import RefusedError, refused

DOOR: Final = "api"
MAX_HEADER: Final = 8192  # bytes; longer ones are refused before they are looked at
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)
"""RFC 6750 §2.1 with RFC 9110's rules: any case, one or more spaces, b64token."""

FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class BearerAuthentication(BaseAuthentication, ABC):
    """`Authorization: Bearer …` → `request.user` is the owner, `request.auth` the credential.

    None for a header that is not ours (no credential, or another kind); raises for ours and bad.
    """

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        """Give owner and credential. Raises `CredentialRefused`, or `django.db.Error` when the database is away."""
        django_request = request._request  # REST framework's own looks every attribute up in two places
        try:
            token = bearer_token(django_request.META)
            if token is None:
                return None
            if _carries_another(django_request):
                raise refused("malformed_request")
            if not self.is_ours(token):
                return None
            # REMOTE_ADDR is the resolved client: the portal's first middleware saw to it.
            address = parse_address(django_request.META.get("REMOTE_ADDR", ""))
            record, quota = admit(lambda: self.verify(token, address=address), door=DOOR, address=address)
        except RefusedError as error:
            raise CredentialRefused(error.refusal) from None
        django_request.quota = quota  # type: ignore[attr-defined]  # the portal's middleware tells of it
        # Most views never look at the user.
        return cast("User", SimpleLazyObject(record.owner.as_user)), record.credential

    def authenticate_header(self, request: Request) -> str:
        """Give the challenge for a request without a credential (RFC 6750 §3)."""
        return 'Bearer realm="keyportal"'

    @abstractmethod
    def is_ours(self, token: str) -> bool:
        """Tell whether this text is of the kind that the class checks, good or bad."""

    @abstractmethod
    def verify(self, token: str, *, address: Address | None) -> Verified:
        """Give what a credential of this kind proves. Raises `RefusedError`."""


def bearer_token(environ: Mapping[str, Any]) -> str | None:
    """Give the credential of a WSGI request; None if it carries none.

    Raises `RefusedError` with `malformed_request` as `token_of` does, or if a second credential stands in the query.
    """
    token = token_of(environ.get("HTTP_AUTHORIZATION"))
    query = environ.get("QUERY_STRING", "")
    if token is not None and "access_token" in query and "access_token" in parse_qs(query):
        raise refused("malformed_request")
    return token


def token_of(header: str | None) -> str | None:
    """Give the credential of an Authorization header; None if there is none, or one of another scheme (BR-04).

    Raises `RefusedError` with `malformed_request` if it is not well formed, or if there are two: the server joins them
    with a comma.
    """
    if header is None:
        return None
    if len(header) > MAX_HEADER:
        raise refused("malformed_request")
    match = _BEARER.fullmatch(header)
    if match is not None:
        return match[1]
    if _is_other_scheme(header):
        return None
    raise refused("malformed_request")


def _is_other_scheme(header: str) -> bool:
    """Tell whether this is one well-formed header of another scheme: Basic, Digest, Negotiate and the like."""
    scheme, _, rest = header.partition(" ")
    if not scheme.isascii() or not scheme.replace("-", "").isalnum() or scheme.lower() == "bearer":
        return False
    # Two header lines, joined by the server: "Basic …,Bearer …". One of them is a credential of ours.
    return re.search(r",\s*bearer\b", rest, re.IGNORECASE) is None


def _carries_another(request: HttpRequest) -> bool:
    """Tell whether a form in the body carries a second credential (RFC 6750 §2.2)."""
    return request.content_type in FORM_TYPES and "access_token" in request.POST
