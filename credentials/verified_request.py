"""What a request's credential proved, kept on the request for its view and for whatever answers it."""

from collections.abc import Mapping

from django.http import HttpRequest

from credentials.limits.rate_limiter import Quota
from credentials.record import VerifiedRecord


def note_verified(request: HttpRequest, record: VerifiedRecord, quota: Quota | None = None) -> None:
    """Note the record of the credential that a request sent, and what is left of its rate limit."""
    request.verified_record = record  # type: ignore[attr-defined]  # verified_record returns it
    request.credential_quota = quota  # type: ignore[attr-defined]  # response_headers reads it


def verified_record(request: HttpRequest) -> VerifiedRecord:
    """Return the record that was noted. Raises AttributeError if the request sent no credential."""
    record: VerifiedRecord = request.verified_record  # type: ignore[attr-defined]  # note_verified
    return record


def response_headers(request: HttpRequest) -> Mapping[str, str]:
    """Return the headers with which the response says what is left of the rate limit, and when the credential ends."""
    record: VerifiedRecord | None = getattr(request, "verified_record", None)
    if record is None:
        return {}
    quota: Quota | None = getattr(request, "credential_quota", None)
    return (quota.headers() if quota else {}) | record.lifetime_headers()
