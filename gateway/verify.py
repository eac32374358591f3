"""`POST /api/v1/verify`: a service asks whether a credential that it received is good.

Answered before Django's request cycle by the same verification as everywhere else: in the event loop if memory knows
both credentials, else in a thread.
"""

import json
import re
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from rest_framework.exceptions import UnsupportedMediaType

from apikeys.api.serializers import describe_credential
from audit.client_address import Address
from credentials.admission import Admission
from credentials.credential import Credential
from credentials.permissions import CredentialRefused
from credentials.refusals import Refusal, RefusedError
from credentials.runtime.errors import WouldBlockError
from credentials.scopes.models import SCOPE_NAME
from credentials.verified_cache.freshness import Lookup, freshness, get_cached_unchecked, get_or_load
from gateway.asking import admit_known_service, admit_service, count_miss
from gateway.caller_cache import CallerCache
from gateway.verdict import verdict
from gateway.verification_request import VerificationRequest, read

ENTRY_POINT: Final = "verify"
PATH: Final = "/api/v1/verify"
JSON: Final = "application/json"
_NAME: Final = re.compile(SCOPE_NAME)


class Question:
    """One request of a service, and how far it has been processed."""

    __slots__ = ("address", "asker", "authorization", "body", "known", "query")

    def __init__(
        self,
        authorization: str | None,
        query: str,
        body: bytes | bytearray,
        address: Address | None,
        known: CallerCache | None = None,
    ) -> None:
        self.authorization = authorization
        """The Authorization header; several lines are joined by commas."""
        self.query = query
        self.body = body
        self.address = address
        """The address of the service."""
        self.known = known
        """What is known of this connection; None if it is not tracked."""
        self.asker: Credential | None = None
        """The service, once admitted, so that it is counted only once."""

    def answer(self, lookup: Lookup = get_or_load) -> bytes:
        """Return the body of a 200.

        Raises `CredentialRefused` about the service's own credential or after too many unknown ones,
        `AsksTooOftenError`, REST framework's `APIException` for an invalid body, `django.db.Error`, and
        `WouldBlockError` if `lookup` uses memory alone.
        """
        asker = self.let_in(lookup)
        return _verdict(read(self.body), asker, lookup if lookup is get_or_load else get_cached_unchecked)

    def let_in(self, lookup: Lookup = get_or_load) -> Credential:
        """Return the service's credential, which needs the scope `credentials:verify`. Raises as `answer` does."""
        if self.asker is None:
            try:
                if self.known is None or lookup is get_or_load:
                    self.asker = admit_service(self.authorization, self.query, address=self.address, lookup=lookup)
                else:
                    self.asker = admit_known_service(self.authorization, self.query, self.address, self.known)
            except RefusedError as error:
                if lookup is not get_or_load and not freshness().glance():
                    raise WouldBlockError from None  # only a thread can find out whether the portal may answer at all
                raise CredentialRefused(error.refusal) from None
        return self.asker


def read_media_type(content_type: str) -> None:
    """Raise `UnsupportedMediaType` if the body is not JSON."""
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("", "Send JSON.")


def _verdict(asked: VerificationRequest, asker: Credential, lookup: Lookup) -> bytes:
    try:
        with Admission(ENTRY_POINT, asked.address) as admission:
            record = verdict(
                asked.credential,
                address=asked.address,
                environment=asked.environment,
                scopes=asked.scopes,
                audience=asked.audience,
                lookup=lookup,
            )
            admission.accept(record, may_block=lookup is get_or_load)
    except RefusedError as error:
        refusal = error.refusal
        if not (refusal.about or refusal.is_foreign) and (wait := count_miss(asker)):
            raise CredentialRefused(Refusal(code="rate_limited", retry_after=wait)) from None
        return json.dumps({"valid": False, "code": refusal.code, "about": _about(refusal)}).encode()
    return _good(record.credential)


@lru_cache(maxsize=4096)
def _good(credential: Credential) -> bytes:
    members = {"valid": True, "code": "ok", "credential": describe_credential(credential), "owner": credential.owner_id}
    return json.dumps(members).encode()


def _may_be_quoted(name: str) -> bool:
    """Return whether this is a valid scope name and not a secret that was sent by mistake."""
    return _NAME.fullmatch(name) is not None and not name.startswith(f"{settings.KEYPORTAL_BRAND}_")


def _about(refusal: Refusal) -> dict[str, Any]:
    """Return what a service learns about a refusal: the same as the credential's holder."""
    about: dict[str, Any] = {"title": refusal.reason.title, **refusal.about}
    if refusal.code == "insufficient_scope":
        about["scope"] = " ".join(filter(_may_be_quoted, refusal.lacking))
    if refusal.retry_after:
        about["retry_after"] = refusal.retry_after
    return about
