"""The Authorization header of RFC 6750 with its one credential, and the base class that reads it on views."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qs

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from typing_extensions import override

from accounts.models import User
from audit.client_address import Address, parse_short_address
from credentials.admission import Admission, note_verified
from credentials.credential import Credential
from credentials.permissions import CredentialRefused
from credentials.record import VerifiedRecord
from credentials.refusals import RefusedError, refusal_error

ENTRY_POINT: Final = "api"
MAX_HEADER: Final = 8192  # bytes; a longer header is refused unread
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)
"""RFC 6750 §2.1 with the rules of RFC 9110: scheme in any case, one or more spaces, b64token."""

FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class BearerAuthentication(BaseAuthentication, ABC):
    """Authentication by `Authorization: Bearer …`: `request.user` is the owner, `request.auth` the credential.

    Returns None for a header that is not ours (no credential, or another kind) and raises for a bad one of ours.
    """

    @override
    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        """Return owner and credential. Raises `CredentialRefused`, and `django.db.Error` if the database is away."""
        django_request = request._request  # REST framework's wrapper looks every attribute up in two places
        try:
            token = bearer_token(django_request.META)
            if token is None:
                return None
            if _carries_another(django_request):
                raise refusal_error("malformed_request")
            if not self.is_ours(token):
                return None
            # The portal's first middleware has set REMOTE_ADDR to the resolved client address.
            address = parse_short_address(django_request.META.get("REMOTE_ADDR", ""))
            with Admission(ENTRY_POINT, address) as admission:
                record = self.verify(token, address=address)
                quota = admission.accept(record)
        except RefusedError as error:
            raise CredentialRefused(error.refusal) from None
        note_verified(django_request, record, quota)
        # Lazy, because most views never look at the user.
        return cast("User", SimpleLazyObject(record.owner.as_user)), record.credential

    @override
    def authenticate_header(self, request: Request) -> str:
        """Return the challenge for a request without a credential (RFC 6750 §3)."""
        return 'Bearer realm="keyportal"'

    @abstractmethod
    def is_ours(self, token: str) -> bool:
        """Return whether this text is of the kind that the class checks, valid or not."""

    @abstractmethod
    def verify(self, token: str, *, address: Address | None) -> VerifiedRecord:
        """Return the record of a valid credential of this kind. Raises `RefusedError` for any other."""


def bearer_token(environ: Mapping[str, Any]) -> str | None:
    """Return the credential of a WSGI request, or None if it carries none.

    Raises `RefusedError` with `malformed_request` as `token_of` does, and if the query holds a second credential.
    """
    token = token_of(environ.get("HTTP_AUTHORIZATION"))
    query = environ.get("QUERY_STRING", "")
    if token is not None and "access_token" in query and "access_token" in parse_qs(query):
        raise refusal_error("malformed_request")
    return token


def token_of(header: str | None) -> str | None:
    """Return the credential of an Authorization header, or None if there is none or it has another scheme.

    Raises `RefusedError` with `malformed_request` if the header is not well formed, or if there are two, which the
    server joins with a comma.
    """
    if header is None:
        return None
    if len(header) > MAX_HEADER:
        raise refusal_error("malformed_request")
    match = _BEARER.fullmatch(header)
    if match is not None:
        return match[1]
    if _is_other_scheme(header):
        return None
    raise refusal_error("malformed_request")


def _is_other_scheme(header: str) -> bool:
    """Return whether this is a single well-formed header of another scheme such as Basic, Digest or Negotiate."""
    scheme, _, parameters = header.partition(" ")
    if not scheme.isascii() or not scheme.replace("-", "").isalnum() or scheme.lower() == "bearer":
        return False
    # The server joins two header lines as "Basic …,Bearer …"; one of them holds a credential of ours.
    return re.search(r",\s*bearer\b", parameters, re.IGNORECASE) is None


def _carries_another(request: HttpRequest) -> bool:
    """Return whether a form in the request body carries a second credential (RFC 6750 §2.2)."""
    return request.content_type in FORM_TYPES and "access_token" in request.POST
