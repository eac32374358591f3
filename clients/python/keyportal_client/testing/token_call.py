"""`POST /oauth/token` of a portal in memory: a key is exchanged for an access token (RFC 6749 §4.4)."""

import base64
import binascii
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

import httpx

from keyportal_client.testing.replies import ProblemError, Reply
from keyportal_client.testing.state import State
from keyportal_client.testing.tokens import LIFETIME
from keyportal_client.verifying.client_address import NOWHERE
from keyportal_client.verifying.requirements import NOTHING

CHALLENGE: Final = 'Basic realm="keyportal", charset="UTF-8"'
UNKNOWN: Final = "The client is unknown, or its secret is wrong."


def exchange(state: State, request: httpx.Request) -> Reply:
    """Return a token. Raises `ProblemError`, whose body is that of RFC 6749 §5.2."""
    form = dict(parse_qsl(request.content.decode()))
    if "grant_type" not in form:
        raise _error("invalid_request", "The parameter grant_type is missing.")
    if form["grant_type"] != "client_credentials":
        raise _error("unsupported_grant_type", "The grant types are client_credentials and refresh_token.")
    secret = _authenticate(state, request, form)
    scopes = form["scope"].split(" ") if "scope" in form else None
    try:
        token, granted = state.issue(secret, scopes=scopes, audience=form.get("resource"))
    except ValueError:
        raise _error("invalid_scope", "Not all of these scopes can be granted.") from None
    said = {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME, "scope": " ".join(granted)}
    return Reply(said)


def _authenticate(state: State, request: httpx.Request, form: dict[str, str]) -> str:
    """Return the secret of the key that the client authenticated as. Raises `ProblemError`."""
    header = request.headers.get("Authorization")
    sent = (form.get("client_id", ""), form.get("client_secret", "")) if header is None else _basic(header)
    if not sent[1]:
        raise _error("invalid_client", "Send the key's id and secret with HTTP Basic.", HTTPStatus.UNAUTHORIZED)
    verdict = state.verdict(sent[1], NOTHING, NOWHERE)
    if verdict.refusal is not None and verdict.record is not None:  # a genuine one is told why
        raise _error("invalid_client", verdict.refusal.reason.title, HTTPStatus.UNAUTHORIZED)
    if verdict.accepted is None or verdict.accepted.id != sent[0]:
        raise _error("invalid_client", UNKNOWN, HTTPStatus.UNAUTHORIZED)
    return sent[1]


def _basic(header: str) -> tuple[str, str]:
    """Return client_id and client_secret from a header. Raises `ProblemError`."""
    scheme, _, written = header.partition(" ")
    try:
        name, _, secret = base64.b64decode(written, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        name = secret = ""
    if scheme.lower() != "basic" or not secret:
        message = "The Authorization header is not valid HTTP Basic."
        raise _error("invalid_client", message, HTTPStatus.UNAUTHORIZED)
    return unquote_plus(name), unquote_plus(secret)


def _error(code: str, description: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> ProblemError:
    headers = {"Content-Type": "application/json"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE
    return ProblemError(Reply({"error": code, "error_description": description}, int(status), headers))
