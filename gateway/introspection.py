"""Introspection (RFC 7662): whether a credential is good, with the verdict of every other endpoint."""

from typing import Final

from django.conf import settings
from django.http import HttpRequest

from audit.client_address import Address, parse_address
from credentials.admission import Admission, note_verified
from credentials.credential import Credential
from credentials.kinds import Kind, kind_of
from credentials.refusals import Refusal, RefusedError
from gateway.callers import CallerLimitError, authenticate_caller, authorize_caller, count_miss
from gateway.verification import verify_any
from tokens.clients import Form, OAuthError, authenticate_client, oauth_endpoint, too_many
from tokens.models import RefreshToken
from tokens.services import PORTAL_CLIENT, redeemable
from vault.signing import Claims

ENTRY_POINT: Final = "introspection"
INACTIVE: Final[dict[str, object]] = {"active": False}


@oauth_endpoint
def introspect(request: HttpRequest, form: Form) -> dict[str, object]:
    """Return what an API key, access token or refresh token is, for a client with the scope `credentials:verify`.

    `client_ip` and `audience` are extensions. `client_ip` is the address that sent the credential; without it, a key
    that is restricted to networks is not active, because its origin is unknown. `audience` is the service's own;
    without it, only tokens for `KEYPORTAL_AUDIENCE` are active.
    """
    caller = _caller(request, form)
    if "token" not in form:
        raise OAuthError("invalid_request", "The parameter token is missing.")
    address = parse_address(form.get("client_ip", ""))
    response, is_known = introspect_text(form["token"], address=address, audience=form.get("audience"))
    if not is_known and (wait := count_miss(caller)):
        raise too_many(wait)
    return response


def introspect_text(text: str, *, address: Address | None, audience: str | None) -> tuple[dict[str, object], bool]:
    """Return RFC 7662 §2.2's response about a text, and whether it is a credential that was issued here.

    The response is `INACTIVE` if the credential would be refused for any reason, including a token for another service.
    """
    if kind_of(text) is Kind.REFRESH_TOKEN:
        # A refresh token is for the portal alone: a service with another audience must not take it for an access token.
        token = redeemable(text) if audience in (None, settings.KEYPORTAL_AUDIENCE, settings.KEYPORTAL_URL) else None
        return (_refresh_token_members(token), True) if token else (INACTIVE, False)
    try:
        # Not rate limited: checking a credential is not a use of it.
        with Admission(ENTRY_POINT, address) as admission:
            record = verify_any(text, address=address, audience=audience)
            admission.accept(record, limited=False)
    except RefusedError as error:
        return INACTIVE, bool(error.refusal.about) or error.refusal.is_foreign
    if record.claims is None:
        return _common_members(record.credential, subject="key"), True
    return _access_token_members(record.credential, record.claims), True


def _caller(request: HttpRequest, form: Form) -> Credential:
    """Return the service's own credential: by Basic, in the form, or by Bearer (RFC 7662 §2.1). Raises `OAuthError`."""
    header, query = request.META.get("HTTP_AUTHORIZATION"), request.META.get("QUERY_STRING", "")
    try:
        if not _is_bearer(header):
            client = authenticate_client(request, form, limited=False)
            authorize_caller(client)
            return client.credential
        if form.keys() & {"client_id", "client_secret"}:
            raise OAuthError("invalid_request", "Authenticate in the header or in the body, not in both.")
        caller = authenticate_caller(header, query, address=parse_address(request.META.get("REMOTE_ADDR", "")))
    except RefusedError as error:
        raise _as_oauth(error.refusal) from None
    except CallerLimitError as error:
        raise OAuthError("temporarily_unavailable", str(error), status=503, retry_after=error.retry_after) from None
    note_verified(request, caller)
    return caller.credential


def _is_bearer(header: str | None) -> bool:
    return header is not None and header.partition(" ")[0].lower() == "bearer"


def _as_oauth(refusal: Refusal) -> OAuthError:
    """Return the OAuth error for a service that may not introspect, with the codes of RFC 6750 §3.1."""
    reason = refusal.reason
    return OAuthError(
        reason.error or "invalid_token", reason.title, status=reason.status, challenge=refusal.challenge()
    )


def _common_members(credential: Credential, *, subject: str) -> dict[str, object]:
    """Return the members that every credential has, no more than services need (RFC 7662 §5): no e-mail, no hint."""
    members: dict[str, object] = {
        "active": True,
        "scope": " ".join(sorted(credential.scopes)),
        "client_id": credential.client_id,
        "sub": f"{subject}:{credential.id if subject == 'key' else credential.owner_id}",
        "iss": settings.KEYPORTAL_URL,
        "owner": credential.owner_id,
        "environment": credential.environment,
        "token_type": "Bearer",
    }
    if credential.expires_at:
        members["exp"] = int(credential.expires_at.timestamp())
    return members


def _access_token_members(credential: Credential, claims: Claims) -> dict[str, object]:
    times = {"iat": claims.issued_at, "nbf": claims.issued_at, "exp": claims.expires_at}
    own = {"sub": claims.subject, "aud": claims.audience, "jti": claims.token_id}
    return {**_common_members(credential, subject="user"), **own, **times}


def _refresh_token_members(token: RefreshToken) -> dict[str, object]:
    return {
        "active": True,
        "scope": token.family.scopes,
        "client_id": PORTAL_CLIENT,
        "sub": f"user:{token.family.user_id}",
        "iss": settings.KEYPORTAL_URL,
        "aud": settings.KEYPORTAL_URL,
        "owner": token.family.user_id,
        "token_type": "refresh_token",
        "iat": int(token.issued_at.timestamp()),
        "exp": int(token.expires_at.timestamp()),
    }
