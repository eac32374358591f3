"""Refusals: why a Bearer header proved nothing. Each has a stable code, an HTTP status and a sentence of advice.

The table is part of the API's contract (docs/errors.md); the pages under /docs/errors/ are generated from it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the table. `error` is the code of RFC 6750 §3.1, or None if the challenge must not have one."""

    status: int
    title: str
    advice: str
    error: str | None = "invalid_token"


REASONS: Final[Mapping[str, Reason]] = {
    "missing_credential": Reason(
        401,
        "No credential was sent",
        "Send your key in the header “Authorization: Bearer <key>”. Some proxies and HTTP clients drop this header on "
        "redirects or over plain http.",
        error=None,
    ),
    "malformed_request": Reason(
        400,
        "The Authorization header is malformed",
        "Send exactly one Authorization header: the word Bearer, one space, the credential. Don't use quotes or send "
        "a second credential in the query or the body.",
        error="invalid_request",
    ),
    "invalid_token": Reason(
        401,
        "This credential is unknown",
        "It was mistyped, truncated, never issued here, or is the wrong kind. Compare its first and last characters "
        "with the hint on your keys page.",
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
        401, "The owner's account is inactive", "Ask this portal's operators to reactivate the account."
    ),
    "account_unconfirmed": Reason(
        403,
        "The owner has not confirmed their e-mail address",
        "Log in to the portal, request another confirmation e-mail, and open its link.",
    ),
    "network_refused": Reason(
        403,
        "This key is not allowed from this network",
        "The key's owner sets its allowed networks on the key's page. The address that reached us is not among them.",
    ),
    "wrong_environment": Reason(
        403, "This key belongs to the other environment", "Use a live key for live data and a test key for test data."
    ),
    "insufficient_scope": Reason(
        403,
        "This credential lacks a required scope",
        "The WWW-Authenticate header names the required scope. Add it on the key's page, or ask an operator for it.",
        error="insufficient_scope",
    ),
    "invalid_login": Reason(
        401,
        "The e-mail address or password is incorrect",
        "Send both with HTTP Basic, in UTF-8. A key goes in “Authorization: Bearer” and needs no log-in.",
        error=None,
    ),
    "mfa_required": Reason(
        403,
        "This account has a second factor",
        "A password alone is not enough to log in. Create an API key in the portal, and exchange it at /oauth/token.",
        error=None,
    ),
    "invalid_grant": Reason(
        400,
        "This refresh token is not valid",
        "It was already used, was ended, has expired, or was never issued. Log in again.",
        error=None,
    ),
    "invalid_scope": Reason(
        400,
        "These scopes can't be granted",
        "Request scopes from the catalogue, separated by spaces, and none beyond those granted before.",
        error=None,
    ),
    "invalid_target": Reason(
        400,
        "No token is issued for this resource",
        "Name one service, exactly as this portal's operators registered it, or omit “resource”. A log-in keeps the "
        "service that it started with.",
        error=None,
    ),
    "misconfigured": Reason(
        400,
        "The gateway's query is invalid",
        "Fix the gateway's configuration; until then, every request is refused. The query takes scope, environment "
        "(live or test, once), audience (once) and deny=403, and nothing else.",
        error=None,
    ),
    "rate_limited": Reason(
        429,
        "Too many requests",
        "Wait for the number of seconds in the Retry-After header, then try again.",
        error=None,
    ),
    "unavailable": Reason(
        503,
        "keyportal can't check credentials right now",
        "Your credential may be valid, so keep it. Try again after the number of seconds in Retry-After.",
        error=None,
    ),
}


_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a credential was refused. `about` (key id, name, when) is shown only to the holder of a genuine one."""

    code: str
    scopes: tuple[str, ...] = ()
    """The required scopes, for `insufficient_scope`."""
    lacking: tuple[str, ...] = ()
    """The required scopes that the credential lacks."""
    about: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "Bearer"
    """The scheme of the challenge: `Basic` at the one endpoint that takes a password."""
    retry_after: int = 0
    """Seconds, for `rate_limited`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of the response: the rate limit, and the end of the credential."""
    pointer: str = ""
    """A JSON Pointer (RFC 6901) to the member of the body at fault, if there is one."""
    is_foreign: bool = False
    """Whether the token is genuine but for another service: reported as unknown, and not counted as a guess."""
    counted_as: str = ""
    """The id under which a genuine credential is counted; empty for any other."""

    @property
    def reason(self) -> Reason:
        """The row of the table for this code."""
        return REASONS[self.code]

    def challenge(self, realm: str = "keyportal") -> str:
        """Return the value of WWW-Authenticate, by RFC 6750 §3 or RFC 7617 §2."""
        if self.scheme == "Basic":
            return f'Basic realm="{realm}", charset="UTF-8"'
        parts = [f'Bearer realm="{realm}"']
        if self.reason.error:
            parts.append(f'error="{self.reason.error}"')
            parts.append(f'error_description="{self.reason.title}"')
        # A gateway's query may name anything, so only valid scope tokens go into the header (RFC 6749 §3.3).
        valid = [scope for scope in self.scopes if _SCOPE_TOKEN.fullmatch(scope)]
        if valid:
            parts.append(f'scope="{" ".join(valid)}"')
        return ", ".join(parts)


class RefusedError(Exception):
    """A credential was refused. Carries the refusal; the message is its code and repeats nothing that was sent."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def refusal_error(code: str, *, counted_as: str = "", **about: str) -> RefusedError:
    """Return the error for this code; `about` tells the holder of a genuine credential which one and since when."""
    return RefusedError(Refusal(code=code, about=about, counted_as=counted_as))


def foreign_token_error() -> RefusedError:
    """Return the error for a token for another service. The caller can't tell it from a forged one."""
    return RefusedError(Refusal(code="invalid_token", is_foreign=True))


def insufficient_scope_error(
    needed: Collection[str],
    had: Collection[str],
    *,
    counted_as: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    **about: str,
) -> RefusedError:
    """Return the error that names the required scopes (RFC 6750 §3.1)."""
    lacking = tuple(name for name in needed if name not in had)
    refusal = Refusal(
        code="insufficient_scope",
        scopes=tuple(needed),
        lacking=lacking,
        about=about,
        counted_as=counted_as,
        headers=headers,
    )
    return RefusedError(refusal)
