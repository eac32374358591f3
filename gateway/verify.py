"""`POST /api/v1/verify`: a service has a credential checked that it received.

Answered before Django's request cycle by the same verification as everywhere else: in the event loop if the cache has
both credentials, else in a thread.
"""

import json
import re
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from rest_framework.exceptions import UnsupportedMediaType

from apikeys.api.serializers import credential_json
from audit.client_address import Address
from credentials.admission import Admission
from credentials.credential import Credential
from credentials.permissions import CredentialRefused
from credentials.record import VerifiedRecord
from credentials.refusals import Refusal, RefusedError
from credentials.runtime.errors import WouldBlockError
from credentials.scopes.models import SCOPE_NAME
from credentials.verified_cache.freshness import Lookup, freshness, get_cached_unchecked, get_or_load, may_query
from gateway.caller_cache import CallerCache
from gateway.callers import authenticate_caller, authenticate_known_caller, count_miss
from gateway.verification import verify_any
from gateway.verification_request import VerificationRequest, parse_body

ENTRY_POINT: Final = "verify"
PATH: Final = "/api/v1/verify"
JSON: Final = "application/json"
_NAME: Final = re.compile(SCOPE_NAME)


class VerifyCall:
    """One request of a service, and how far it has been processed."""

    __slots__ = ("address", "authorization", "body", "caller", "caller_cache", "query")

    def __init__(
        self,
        authorization: str | None,
        query: str,
        body: bytes | bytearray,
        address: Address | None,
        caller_cache: CallerCache | None = None,
    ) -> None:
        self.authorization = authorization
        """The Authorization header; several lines are joined by commas."""
        self.query = query
        self.body = body
        self.address = address
        """The address of the service."""
        self.caller_cache = caller_cache
        """What the event loop knows of this connection; None for a request that Django handles."""
        self.caller: VerifiedRecord | None = None
        """The service, once admitted, so that it is counted only once."""

    def respond(self, lookup: Lookup = get_or_load) -> bytes:
        """Return the body of a 200.

        Raises `CredentialRefused` about the service's own credential or after too many unknown ones,
        `CallerLimitError`, REST framework's `APIException` for an invalid body, `django.db.Error`, and
        `WouldBlockError` if `lookup` uses the cache alone.
        """
        caller = self.authenticate(lookup)
        return _verdict(parse_body(self.body), caller.credential, lookup if may_query(lookup) else get_cached_unchecked)

    def authenticate(self, lookup: Lookup = get_or_load) -> VerifiedRecord:
        """Return the service's record, which needs the scope `credentials:verify`. Raises as `respond` does."""
        if self.caller is None:
            header, query, address = self.authorization, self.query, self.address
            try:
                if self.caller_cache is None or may_query(lookup):
                    self.caller = authenticate_caller(header, query, address=address, lookup=lookup)
                else:
                    self.caller = authenticate_known_caller(header, query, address, self.caller_cache)
            except RefusedError as error:
                if not may_query(lookup) and not freshness().is_known_current():
                    raise WouldBlockError from None  # only a thread can find out whether the portal may answer at all
                raise CredentialRefused(error.refusal) from None
        return self.caller


def read_media_type(content_type: str) -> None:
    """Raise `UnsupportedMediaType` if the body is not JSON."""
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("", "Send JSON.")


def _verdict(body: VerificationRequest, caller: Credential, lookup: Lookup) -> bytes:
    try:
        with Admission(ENTRY_POINT, body.address) as admission:
            record = verify_any(
                body.credential,
                address=body.address,
                environment=body.environment,
                scopes=body.scopes,
                audience=body.audience,
                lookup=lookup,
            )
            admission.accept(record, may_block=may_query(lookup))
    except RefusedError as error:
        refusal = error.refusal
        if not (refusal.about or refusal.is_foreign) and (wait := count_miss(caller)):
            raise CredentialRefused(Refusal(code="rate_limited", retry_after=wait)) from None
        return json.dumps({"valid": False, "code": refusal.code, "about": _about(refusal)}).encode()
    return _valid_response(record.credential)


@lru_cache(maxsize=4096)
def _valid_response(credential: Credential) -> bytes:
    members = {"valid": True, "code": "ok", "credential": credential_json(credential), "owner": credential.owner_id}
    return json.dumps(members).encode()


def _is_quotable(name: str) -> bool:
    """Return whether this is a valid scope name and not a secret that was sent by mistake."""
    return _NAME.fullmatch(name) is not None and not name.startswith(f"{settings.KEYPORTAL_BRAND}_")


def _about(refusal: Refusal) -> dict[str, Any]:
    """Return what a service learns about a refusal: the same as the credential's holder."""
    about: dict[str, Any] = {"title": refusal.reason.title, **refusal.about}
    if refusal.code == "insufficient_scope":
        about["scope"] = " ".join(filter(_is_quotable, refusal.lacking))
    if refusal.retry_after:
        about["retry_after"] = refusal.retry_after
    return about
