"""A Flask service that verifies keyportal's access tokens itself, with PyJWT and the published keys.

    KEYPORTAL_URL=https://keys.example.com flask --app examples/flask_verifier run

With an audience of its own (`REPORTS_AUDIENCE`) it accepts only tokens for that audience.

It fetches keyportal's public keys (every five minutes, and for an unknown key id) but never asks about a token.
So it can't see that a token was revoked, or that a key or an account was deactivated, in the minutes before the token
expires. If that matters, ask keyportal instead: `POST /oauth/introspect`.
"""

import os
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, cast

import jwt
from flask import Flask, g, jsonify, request
from flask.typing import ResponseReturnValue

ALGORITHMS = ["ES256", "EdDSA", "RS256"]
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope"]
LEEWAY = 30  # seconds by which two clocks may differ

app = Flask(__name__)


def issuer() -> str:
    """Return the portal's base URL."""
    return os.environ["KEYPORTAL_URL"].rstrip("/")


def audience() -> str:
    """Return this service's own audience, which its clients request as `resource`.

    A service without one shares the portal's: KEYPORTAL_AUDIENCE there, which is the portal's URL unless operators set
    it.
    """
    return os.environ.get("REPORTS_AUDIENCE", issuer())


@cache
def keys(address: str) -> jwt.PyJWKClient:
    """Return the portal's cached public keys. An unknown `kid` makes the client fetch them again."""
    return jwt.PyJWKClient(f"{address}/.well-known/jwks.json", cache_jwk_set=True, lifespan=300, timeout=5)


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a valid token. Raises `jwt.PyJWTError`."""
    header = jwt.get_unverified_header(token)
    if str(header.get("typ", "")).lower() not in ("at+jwt", "application/at+jwt"):  # PyJWT does not check the type
        raise jwt.InvalidTokenError("not an access token")
    claims: dict[str, Any] = jwt.decode(
        token,
        keys(issuer()).get_signing_key_from_jwt(token),
        algorithms=ALGORITHMS,
        issuer=issuer(),
        audience=audience(),
        leeway=LEEWAY,
        options={"require": REQUIRED, "strict_aud": True},
    )
    return claims


def needs_scope(scope: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Admit requests whose token has this scope; answer others 401 or 403 as RFC 6750 says."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                return refuse(401, 'Bearer realm="reports"')
            try:
                g.claims = claims_of(token.strip())
            except jwt.PyJWKClientConnectionError:
                return jsonify(error="unavailable"), 503, {"Retry-After": "5"}
            except jwt.PyJWTError:
                return refuse(401, 'Bearer realm="reports", error="invalid_token"')
            if scope not in cast("str", g.claims["scope"]).split():
                return refuse(403, f'Bearer realm="reports", error="insufficient_scope", scope="{scope}"')
            return view(*args, **kwargs)

        return guarded

    return decorate


def refuse(status: int, challenge: str) -> ResponseReturnValue:
    """Return an error without a reason. The challenge tells the client what to do."""
    return jsonify(error="unauthorized"), status, {"WWW-Authenticate": challenge}


@app.get("/reports")
@needs_scope("reports:read")
def reports() -> ResponseReturnValue:
    """Return the reports to a client that may read them."""
    return jsonify(reports=["first", "second"], reader=g.claims["sub"])
