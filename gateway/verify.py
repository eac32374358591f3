"""`POST /api/v1/verify`: a service has credentials checked that it received, one or up to a hundred.

Answered before Django's request cycle by the same verification as everywhere else: in the event loop if the cache has
all of them and the service's own, else in a thread.
"""

import json
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from typing_extensions import override

from accounts.times import rfc3339
from apikeys.api.serializers import credential_json
from audit.client_address import Address
from credentials.admission import Admission
from credentials.credential import Credential
from credentials.permissions import CredentialRefused
from credentials.record import VerifiedRecord
from credentials.refusals import Refusal, RefusedError
from credentials.scopes.models import SCOPE_NAME
from credentials.verified_cache.feed import change_feed
from credentials.verified_cache.freshness import Lookup, get_cached_unchecked, get_or_load, may_query
from gateway.assertions import assertion_for, can_assert
from gateway.caller_cache import CallerCache
from gateway.callers import count_miss
from gateway.record_json import record_json
from gateway.service_call import ServiceCall
from gateway.verification import GenuineRefusedError, verify_any
from gateway.verification_request import VerificationRequest, parse_body

ENTRY_POINT: Final = "verify"
PATH: Final = "/api/v1/verify"
JSON: Final = "application/json"
SHARED_KEY: Final = "This portal has no key pair to sign with. Its operators can add one to KEYPORTAL_SIGNING_KEYS."
_NAME: Final = re.compile(SCOPE_NAME)


class VerifyCall(ServiceCall):
    """One request of a service."""

    def __init__(
        self,
        authorization: str | None,
        query: str,
        body: bytes | bytearray,
        address: Address | None,
        caller_cache: CallerCache | None = None,
    ) -> None:
        super().__init__(authorization, query, address, caller_cache)
        self.body = body
        self._request: VerificationRequest | None = None
        self._as_of: dict[str, str | None] = {}
        self._answers: list[bytes] = []
        """Those so far, as JSON: each credential is counted once, also if a thread goes on."""

    @override
    def respond(self, lookup: Lookup = get_or_load) -> bytes:
        caller = self.authenticate(lookup).credential
        request = self._request = self._request or parse_body(self.body)
        if request.assertion and not can_assert():
            raise ValidationError({"assertion": [SHARED_KEY]})
        can_query = may_query(lookup)
        if request.needs_cursor and not self._as_of:
            # Before any record is looked up, so that all that changed before the cursor is in them.
            self._as_of = {"cursor": change_feed().cursor(may_query=can_query), "now": rfc3339(datetime.now(UTC))}
        for credential in request.credentials[len(self._answers) :]:
            within = lookup if can_query else get_cached_unchecked
            self._answers.append(_answer(credential, request, caller, within))
        if request.is_one:
            return _with_members(self._answers[0], self._as_of)
        return _with_members(b'{"results": [' + b", ".join(self._answers) + b"]}", self._as_of)


def read_media_type(content_type: str) -> None:
    """Raise `UnsupportedMediaType` if the body is not JSON."""
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("", "Send JSON.")


def _answer(text: str, request: VerificationRequest, caller: Credential, lookup: Lookup) -> bytes:
    """Return the verdict about one credential as JSON. Raises as `VerifyCall.respond` does."""
    record: VerifiedRecord | None = None
    try:
        with Admission(ENTRY_POINT, request.address) as admission:
            record = verify_any(
                text,
                address=request.address,
                environment=request.environment,
                scopes=request.scopes,
                audience=request.audience,
                lookup=lookup,
            )
            admission.accept(record, may_block=may_query(lookup))
    except RefusedError as error:
        refusal, is_valid = error.refusal, False
        record = error.record if isinstance(error, GenuineRefusedError) else record
        if not (refusal.about or refusal.is_foreign) and (wait := count_miss(caller)):
            refusal = Refusal(code="rate_limited", retry_after=wait)
            if request.is_one:
                raise CredentialRefused(refusal) from None
        answer = json.dumps({"valid": False, "code": refusal.code, "about": _about(refusal)}).encode()
    else:
        is_valid, answer = True, _valid_answer(record.credential)
    more: dict[str, Any] = {}
    if request.wants_record:
        more["record"] = record and record_json(record)
    if request.assertion:
        more["assertion"] = assertion_for(record.credential, request.assertion) if record and is_valid else None
    return _with_members(answer, more)


def _with_members(answer: bytes, members: dict[str, Any]) -> bytes:
    """Return a JSON object with more members."""
    return answer[:-1] + b", " + json.dumps(members).encode()[1:] if members else answer


@lru_cache(maxsize=4096)
def _valid_answer(credential: Credential) -> bytes:
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
