"""OAuth and the tokens' API, spoken over the socket to a started portal."""

import base64
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests import portal
from tests.portal import Answer, Portal
from tests.staleness import wait_until_refused

PASSWORD = "correct horse battery staple"
ENDED = ("revoked", "invalid_token")
FORM = portal.FORM
FORGET_GUESSES = portal.FORGET_GUESSES


class ClientKey(NamedTuple):
    """An API key as an OAuth client."""

    id: str
    secret: str


class OAuthClient:
    """Speaks to the token endpoints of a portal as a client does, one fresh connection a request."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal

    def form(
        self, path: str, body: Mapping[str, str] | str, *, client: ClientKey | None = None, **headers: str
    ) -> Answer:
        """POST a form; a `client` authenticates by Basic."""
        sent = {"Content-Type": FORM, **headers}
        if client is not None:
            sent["Authorization"] = basic(client.id, client.secret)
        raw = (body if isinstance(body, str) else urlencode(body)).encode()
        return self.portal.request("POST", path, headers=sent, body=raw)

    def token(self, body: Mapping[str, str] | str, *, client: ClientKey | None = None, **headers: str) -> Answer:
        """Ask the token endpoint."""
        return self.form("/oauth/token", body, client=client, **headers)

    def client_token(self, client: ClientKey, **parameters: str) -> str:
        """Return an access token for a key."""
        answer = self.token({"grant_type": "client_credentials", **parameters}, client=client)
        assert answer.status == 200, answer.body
        token: str = json_of(answer)["access_token"]
        return token

    def password(self, email: str, password: str = PASSWORD) -> Answer:
        """Ask for tokens with a password."""
        return self.post("/api/v1/tokens", Authorization=basic(email, password))

    def log_in(self, email: str, password: str = PASSWORD) -> dict[str, Any]:
        """Return the pair of tokens for a password."""
        answer = self.password(email, password)
        assert answer.status == 200, answer.body
        return json_of(answer)

    def basic(self, email: str, password: str = PASSWORD) -> str:
        """Return the value of the header of a log-in."""
        return basic(email, password)

    def refresh(self, refresh_token: str, **parameters: str) -> Answer:
        """Spend a refresh token at the token endpoint, as the public client."""
        return self.token({"grant_type": "refresh_token", "refresh_token": refresh_token, **parameters})

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        """POST JSON, or nothing."""
        if body is None:
            return self.portal.request("POST", path, headers=headers)
        raw = json.dumps(body).encode()
        return self.portal.request("POST", path, headers={"Content-Type": "application/json", **headers}, body=raw)

    def wait_for_refusal(self, credential: str) -> str:
        """Return the code with which a credential is refused, as soon as every worker refuses it."""
        wait_until_refused(lambda: self.me(credential).status, at_once=self.portal.is_on_sqlite)
        answer = json_of(self.me(credential))
        return str(answer.get("code", "it is good"))

    def me(self, credential: str) -> Answer:
        """Use a credential."""
        return self.portal.get("/api/v1/me", Authorization=f"Bearer {credential}")


def repeat_until_limited(request: Callable[[], Answer], *, amount: int) -> Answer:
    """Ask until the limit answers, and return its answer. Before it comes what one window and the next let through."""
    for _ in range(2 * amount + 1):
        answer = request()
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return answer
    raise AssertionError(f"no limit after {2 * amount + 1}")


def basic(user: str, password: str) -> str:
    """Return the value of a Basic header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def json_of(answer: Answer) -> dict[str, Any]:
    """Return the JSON object of an answer."""
    value = json.loads(answer.body)
    assert isinstance(value, dict)
    return value


def is_oauth_answer(answer: Answer) -> None:
    """Check what holds for every OAuth answer: one JSON object, `no-store`, no cookie, no 5xx."""
    assert answer.status < 500
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert json_of(answer) is not None
    if answer.status == 401:
        assert answer.headers["www-authenticate"]
