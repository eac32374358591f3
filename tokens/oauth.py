"""Two-legged OAuth 2.0: the token endpoint (RFC 6749 §3.2) and the revocation endpoint (RFC 7009)."""

from collections.abc import Callable, Collection
from typing import Final

from django.http import HttpRequest

from accounts.attempts import AttemptLimit
from accounts.errors import IssuingSuspendedError
from accounts.places import bucket_of
from audit.origin import Origin
from tokens import services
from tokens.clients import Form, OAuthError, authenticate_client, client_credentials, oauth_endpoint, too_many
from tokens.errors import InvalidGrantError, InvalidScopeError, InvalidTargetError, NotYoursError
from tokens.revocation import end_credential
from tokens.services import PORTAL_CLIENT

NOT_ISSUED: Final = "This portal issues no tokens at the moment. A refresh token that was sent is still valid."
REVOCATIONS: Final = AttemptLimit("KEYPORTAL_LIMIT_REVOCATIONS", "Too many revocations.")


@oauth_endpoint
def token(request: HttpRequest, form: Form) -> dict[str, object]:
    """Return tokens for a grant. The password grant is not supported (RFC 9700 §2.4)."""
    if "grant_type" not in form:
        raise OAuthError("invalid_request", "The parameter grant_type is missing.")
    grant = GRANTS.get(form["grant_type"])
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"The grant types are {' and '.join(GRANTS)}.")
    try:
        tokens = grant(request, form)
    except InvalidScopeError:
        raise OAuthError("invalid_scope", "Not all of these scopes can be granted.") from None
    except InvalidTargetError:
        raise OAuthError("invalid_target", "No token is issued for this resource.") from None
    except InvalidGrantError:
        raise OAuthError("invalid_grant", "This refresh token is not valid.") from None
    except IssuingSuspendedError as error:
        wait = error.suspension.retry_after  # the operators' reason may hold what RFC 6749 §5.2 keeps out of an error
        raise OAuthError("temporarily_unavailable", NOT_ISSUED, status=503, retry_after=wait) from None
    return dict(tokens.members())


@oauth_endpoint
def revoke(request: HttpRequest, form: Form) -> dict[str, object]:
    """Revoke what was issued to this client. Unknown and ended tokens get the same response (RFC 7009 §2.2)."""
    client_id, origin, counted_as = _revoking_client(request, form)
    if "token" not in form:
        raise OAuthError("invalid_request", "The parameter token is missing.")
    wait = REVOCATIONS.hit(counted_as)
    if wait:
        raise too_many(wait)
    try:
        end_credential(form["token"], client_id=client_id, origin=origin)
    except NotYoursError:
        raise OAuthError("invalid_grant", "It was issued to another client.") from None
    return {}


def _client_credentials_grant(request: HttpRequest, form: Form) -> services.TokenResponse:
    client = authenticate_client(request, form)
    origin = Origin.of_request(request, actor=f"key:{client.credential.id}")
    return services.issue_to_key(client=client, scopes=_scopes(form), origin=origin, resource=form.get("resource"))


def _refresh_grant(request: HttpRequest, form: Form) -> services.TokenResponse:
    """Refresh for the public client. An authenticated client is a different one, which the verb refuses."""
    if "refresh_token" not in form:
        raise OAuthError("invalid_request", "The parameter refresh_token is missing.")
    is_public = _is_public_client(request, form, otherwise=PORTAL_CLIENT)
    client_id = PORTAL_CLIENT if is_public else authenticate_client(request, form).credential.id
    origin = Origin.of_request(request, actor=f"client:{client_id}")
    return services.refresh(
        secret=form["refresh_token"],
        scopes=_scopes(form),
        client_id=client_id,
        origin=origin,
        resource=form.get("resource"),
    )


GRANTS: Final[dict[str, Callable[[HttpRequest, Form], services.TokenResponse]]] = {
    "client_credentials": _client_credentials_grant,
    "refresh_token": _refresh_grant,
}


def _revoking_client(request: HttpRequest, form: Form) -> tuple[str, Origin, str]:
    """Return the client id for the check, the origin for the record and the key of the limit.

    A public client has no secret (RFC 7009 §2.1), so it is limited by its address.
    """
    if _is_public_client(request, form):
        return PORTAL_CLIENT, Origin.of_request(request, actor="client:portal"), bucket_of(request)
    client_id = authenticate_client(request, form).credential.id
    return client_id, Origin.of_request(request, actor=f"key:{client_id}"), client_id


def _is_public_client(request: HttpRequest, form: Form, *, otherwise: str = "") -> bool:
    """Return whether the client identifies as the public one: in the form, or by Basic with an empty password.

    Some libraries always send Basic, even without a secret. `otherwise` is the id of a client that sends none. Raises
    `OAuthError`.
    """
    sent = client_credentials(request, form) or (form.get("client_id", otherwise), "")
    return sent == (PORTAL_CLIENT, "")


def _scopes(form: Form) -> Collection[str] | None:
    """Return the requested scopes, or None if there are none. Only spaces separate names (RFC 6749 §3.3)."""
    return form["scope"].split(" ") if "scope" in form else None
