"""Introspection (RFC 7662): another service asks whether a credential is good, with the answer of every other door."""

from typing import Final

from django.conf import settings
from django.http import HttpRequest

from accounts.attempts import AttemptLimit
from credentials.admission import admit
from credentials.client_address import Address, parse_address
from credentials.credential import Credential
from credentials.kinds import Kind, kind_of
from credentials.refusals import RefusedError
from gateway.verdict import verdict
from tokens.clients import Form, OAuthError, authenticated_client, oauth_endpoint, too_many
from tokens.models import RefreshToken
from tokens.services import PORTAL_CLIENT, redeemable
from tokens.verification import TokenRecord

DOOR: Final = "introspection"
SCOPE: Final = "credentials:verify"
INACTIVE: Final[dict[str, object]] = {"active": False}
MISSES: Final = AttemptLimit("KEYPORTAL_LIMIT_MISSES", "Too many unknown credentials were asked about.")
"""Scanning for good ones by asking about random ones (RFC 7662 §4)."""


@oauth_endpoint
def introspect(request: HttpRequest, form: Form) -> dict[str, object]:
    """Tell a client with the scope `credentials:verify` about an API key, an access token or a refresh token.

    `client_ip`, an extension, is the address that showed the credential: without it a key that is bound to networks is
    not active, because nobody can tell where it came from.
    """
    client = authenticated_client(request, form).credential
    if SCOPE not in client.scopes:
        # RFC 7662 §2.3: an insufficient credential of the caller is answered as a wrong one.
        raise OAuthError("invalid_client", f"The client needs the scope {SCOPE}.", status=401)
    if "token" not in form:
        raise OAuthError("invalid_request", "The parameter token is missing.")
    if wait := MISSES.retry_after(client.id):
        raise too_many(wait)
    answer = described(form["token"], address=parse_address(form.get("client_ip", "")))
    if answer is INACTIVE and (wait := MISSES.hit(client.id)):  # one of many at once
        raise too_many(wait)
    return answer


def described(text: str, *, address: Address | None) -> dict[str, object]:
    """Give RFC 7662 §2.2's answer about a text; `INACTIVE` for whatever would be refused, for whichever reason."""
    if kind_of(text) is Kind.REFRESH_TOKEN:
        token = redeemable(text)
        return _refresh_token(token) if token else INACTIVE
    try:
        # Not limited: whether a credential is good is another question than how often it may be used.
        record, _ = admit(lambda: verdict(text, address=address), door=DOOR, address=address, limited=False)
    except RefusedError:
        return INACTIVE
    return _access_token(record) if isinstance(record, TokenRecord) else _about(record.credential, subject="key")


def _about(credential: Credential, *, subject: str) -> dict[str, object]:
    """Give what every credential has, and no more than a service needs (RFC 7662 §5): no e-mail, no hint."""
    answer: dict[str, object] = {
        "active": True,
        "scope": " ".join(sorted(credential.scopes)),
        "client_id": credential.client_id,
        "sub": f"{subject}:{credential.id if subject == 'key' else credential.owner_id}",
        "iss": settings.KEYPORTAL_URL,
        "aud": settings.KEYPORTAL_AUDIENCE,
        "owner": credential.owner_id,
        "environment": credential.environment,
        "token_type": "Bearer",
    }
    if credential.expires_at:
        answer["exp"] = int(credential.expires_at.timestamp())
    return answer


def _access_token(record: TokenRecord) -> dict[str, object]:
    claims = record.claims
    times = {"iat": claims.issued_at, "nbf": claims.issued_at, "exp": claims.expires_at}
    return {**_about(record.credential, subject="user"), "sub": claims.subject, "jti": claims.token_id, **times}


def _refresh_token(token: RefreshToken) -> dict[str, object]:
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
