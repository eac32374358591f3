"""Headers about the credential that a request sent, which the portal's middleware adds to whatever answers it."""

from collections.abc import Mapping

from django.http import HttpRequest

from credentials.limits.rate_limiter import Quota
from credentials.record import VerifiedRecord


def set_response_headers(request: HttpRequest, record: VerifiedRecord, quota: Quota | None = None) -> None:
    """Have the response say what is left of the credential's rate limit, and when it ends."""
    headers = (quota.headers() if quota else {}) | record.lifetime_headers()
    request.credential_headers = headers  # type: ignore[attr-defined]  # response_headers returns them


def response_headers(request: HttpRequest) -> Mapping[str, str]:
    """Return the headers for the response to this request."""
    headers: Mapping[str, str] = getattr(request, "credential_headers", {})
    return headers
