"""Why a credential is refused: the codes, statuses, challenges and problem details of the portal (docs/errors.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple


class Reason(NamedTuple):
    """One code."""

    status: int
    title: str
    advice: str
    error: str | None = "invalid_token"
    """The code of RFC 6750 §3.1; None if the challenge has none."""


REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        "missing_credential": Reason(
            401,
            "No credential was sent",
            "Send your key in the header “Authorization: Bearer <key>”. Some proxies and HTTP clients drop this header "
            "on redirects or over plain http.",
            None,
        ),
        "malformed_request": Reason(
            400,
            "The Authorization header is malformed",
            "Send exactly one Authorization header: the word Bearer, one space, the credential. Don't use quotes or "
            "send a second credential in the query or the body.",
            "invalid_request",
        ),
        "invalid_token": Reason(
            401,
            "This credential is unknown",
            "It was mistyped, truncated, never issued here, or is the wrong kind. Compare its first and last "
            "characters with the hint on your keys page.",
        ),
        "expired": Reason(401, "This credential has expired", "Create a new one, or set a later expiry for the key."),
        "retired": Reason(
            401,
            "This secret was replaced",
            "The key was rotated and the overlap has ended. Use the key's newer secret.",
        ),
        "revoked": Reason(
            401, "This credential was revoked", "It was revoked permanently. Create a new key, or log in again."
        ),
        "paused": Reason(401, "This key is paused", "Its owner can resume it on the key's page."),
        "owner_inactive": Reason(
            401,
            "The owner's account is inactive",
            "Ask this portal's operators to reactivate the account.",
        ),
        "account_unconfirmed": Reason(
            403,
            "The owner has not confirmed their e-mail address",
            "Log in to the portal, request another confirmation e-mail, and open its link.",
        ),
        "network_refused": Reason(
            403,
            "This key is not allowed from this network",
            "The key's owner sets its allowed networks on the key's page. The address that reached us is not among "
            "them.",
        ),
        "wrong_environment": Reason(
            403,
            "This key belongs to the other environment",
            "Use a live key for live data and a test key for test data.",
        ),
        "insufficient_scope": Reason(
            403,
            "This credential lacks a required scope",
            "The WWW-Authenticate header names the required scope. Add it on the key's page, or ask an operator for "
            "it.",
            "insufficient_scope",
        ),
        "rate_limited": Reason(
            429,
            "Too many requests",
            "Wait for the number of seconds in the Retry-After header, then try again.",
            None,
        ),
        "unavailable": Reason(
            503,
            "keyportal can't check credentials right now",
            "Your credential may be valid, so keep it. Try again after the number of seconds in Retry-After.",
            None,
        ),
    }
)
"""Of the portal's codes, those that a check of a credential can have."""
UNAVAILABLE: Final = "unavailable"
PROBLEM: Final = "application/problem+json"
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


@dataclass(frozen=True)
class Refusal:
    """Why a request gets no further. It repeats nothing that was sent."""

    code: str
    scopes: tuple[str, ...] = ()
    """The scopes that are needed, for `insufficient_scope`."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the holder of a genuine credential is told: which one it is, and since when it is refused."""
    retry_after: int = 0
    """Seconds, for `rate_limited` and `unavailable`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of the response: when the credential ends."""

    @property
    def reason(self) -> Reason:
        """The code's reason. A code of a newer portal counts as the one for unknown credentials."""
        return REASONS.get(self.code, REASONS["invalid_token"])

    @property
    def status(self) -> int:
        """The status of the response."""
        return self.reason.status

    @property
    def is_verdict(self) -> bool:
        """Whether this says something about the credential. If not, the client should keep it and try again."""
        return self.code != UNAVAILABLE

    def challenge(self, realm: str = "keyportal") -> str:
        """Return the value of WWW-Authenticate (RFC 6750 §3); empty if the response has none."""
        reason = self.reason
        if reason.error is None and reason.status != 401:  # noqa: PLR2004
            return ""
        parts = [f'Bearer realm="{realm}"']
        if reason.error:
            parts += [f'error="{reason.error}"', f'error_description="{reason.title}"']
        if valid := [scope for scope in self.scopes if _SCOPE.fullmatch(scope)]:
            parts.append(f'scope="{" ".join(valid)}"')
        return ", ".join(parts)

    def response_headers(self, realm: str = "keyportal") -> dict[str, str]:
        """Return the headers of the response: what its body is, and that it must not be stored."""
        headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store", **self.headers}
        if challenge := self.challenge(realm):
            headers["WWW-Authenticate"] = challenge
        if self.retry_after:
            headers["Retry-After"] = str(self.retry_after)
        return headers

    def problem(self, portal: str) -> dict[str, Any]:
        """Return the body of the response, `application/problem+json` (RFC 9457), as this portal would write it."""
        reason = self.reason
        return {
            "type": f"{portal}/docs/errors/{self.code}/",
            "title": reason.title,
            "status": reason.status,
            "detail": reason.advice,
            "code": self.code,
            **self.about,
        }
