"""Revoke a credential by presenting it: `DELETE /api/v1/tokens` and `POST /oauth/revoke` (RFC 7009).

An API key's secret revokes its key. A refresh token, or an access token of a log-in, ends that log-in with all its
tokens (RFC 7009 §2.1). An access token that was issued to a key ends alone. A token's audience does not matter, because
revoking does not use it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from apikeys import services as keys
from audit.origin import Origin
from credentials.kinds import Kind, kind_of
from tokens import services
from tokens.errors import NotYoursError
from tokens.identification import refresh_token_of, secret_of
from tokens.models import TokenFamily
from tokens.verification import load_subject, read_token
from vault.errors import TokenError

REASON = "ended by its holder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocable:
    """A credential that was identified: the client that it was issued to, and how to end it."""

    client_id: str
    end: Callable[[Origin], bool]


def end_credential(text: str, *, client_id: str | None, origin: Origin) -> bool:
    """End the credential in this text; return False if there is nothing to end (unknown, expired or ended before).

    With a `client_id`, ends only what was issued to that client, and otherwise raises `NotYoursError`.
    """
    revocable = _identify(text)
    if revocable is None:
        return False
    if client_id is not None and revocable.client_id != client_id:
        raise NotYoursError
    return revocable.end(origin)


def _identify(text: str) -> Revocable | None:
    """Identify the credential by its form, without a token_type_hint (RFC 7009 §2.1)."""
    kind = kind_of(text)
    if kind is Kind.ACCESS_TOKEN:
        return _access_token(text)
    if kind is Kind.REFRESH_TOKEN:
        token = refresh_token_of(text)
        return _family(token.family) if token else None
    secret = secret_of(text)
    if secret is None:
        return None
    key = secret.key
    return Revocable(client_id=key.pk, end=lambda origin: keys.revoke(key=key, reason=REASON, origin=origin))


def _access_token(text: str) -> Revocable | None:
    try:
        claims = read_token(text, audience=None)
    except TokenError:
        return None  # RFC 7009 §2.2: a token that can't be used any more counts as revoked
    if load_subject(claims) is None:
        return None
    family = TokenFamily.objects.filter(pk=claims.family).first() if claims.family else None
    if family is not None:
        return _family(family)
    return Revocable(client_id=claims.client_id, end=lambda origin: services.revoke_token(claims=claims, origin=origin))


def _family(family: TokenFamily) -> Revocable:
    return Revocable(
        client_id=services.PORTAL_CLIENT,
        end=lambda origin: services.end_family(family=family, reason=REASON, origin=origin),
    )
