"""A service that checks access tokens of keyportal by itself: Flask, PyJWT and the published keys.

    KEYPORTAL_URL=https://keys.example.com flask --app examples/flask_verifier run

With a name of its own (`REPORTS_AUDIENCE`) it takes the tokens that are for it alone.

It asks keyportal for the keys (every five minutes, and when it meets a key that it does not know), never about a token.
What it therefore can't see: that a token was revoked, or a key or an account switched off, during the minutes that
the token still lives. Where that matters, ask: `POST /oauth/introspect`.
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
LEEWAY = 30  # seconds that two clocks may differ

app = Flask(__name__)


def issuer() -> str:
    """Return the portal's address."""
    return os.environ["KEYPORTAL_URL"].rstrip("/")


def audience() -> str:
    """Return this service's own name: the `resource` that its clients ask tokens for.

    A service without one shares the portal's: KEYPORTAL_AUDIENCE there, which is its address unless operators set it.
    """
    return os.environ.get("REPORTS_AUDIENCE", issuer())


@cache
def keys(address: str) -> jwt.PyJWKClient:
    """Give the cached keys of a portal. An unknown `kid` makes it look again, at most so often."""
    return jwt.PyJWKClient(f"{address}/.well-known/jwks.json", cache_jwk_set=True, lifespan=300, timeout=5)


def claims_of(token: str) -> dict[str, Any]:
    """Give what a good token says. Raises `jwt.PyJWTError`."""
    header = jwt.get_unverified_header(token)
    if str(header.get("typ", "")).lower() not in ("at+jwt", "application/at+jwt"):  # PyJWT leaves this to us
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
    """Let a request in whose token has this scope; answer 401 or 403 as RFC 6750 says."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                return refuse(401, 'Bearer realm="reports"')
            try:
                g.claims = claims_of(token.strip())
            except jwt.PyJWTError:
                return refuse(401, 'Bearer realm="reports", error="invalid_token"')
            if scope not in cast("str", g.claims["scope"]).split():
                return refuse(403, f'Bearer realm="reports", error="insufficient_scope", scope="{scope}"')
            return view(*args, **kwargs)

        return guarded

    return decorate


def refuse(status: int, challenge: str) -> ResponseReturnValue:
    """Answer without a word about why: the challenge says what a client can do."""
    return jsonify(error="unauthorized"), status, {"WWW-Authenticate": challenge}


@app.get("/reports")
@needs_scope("reports:read")
def reports() -> ResponseReturnValue:
    """Answer whoever may read reports."""
    return jsonify(reports=["first", "second"], reader=g.claims["sub"])
