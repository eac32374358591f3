"""What both ways to send a request have: where the credential may go, which it is, and what follows a refusal."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from keyportal_client.caller import FixedCredential
from keyportal_client.calling.client_credentials import ClientCredentials
from keyportal_client.calling.ending import Announcements
from keyportal_client.calling.login_tokens import LoginTokens
from keyportal_client.calling.origins import Origins
from keyportal_client.calling.retrying import RefusedResponse, Repetitions, RetryPolicy, SentRequest
from keyportal_client.errors import ConfigurationError

ApiCredential: TypeAlias = ClientCredentials | LoginTokens
REFUSALS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""Statuses after which a request may be sent again."""
REFUSES_IT: Final = 'error="invalid_token"'
"""What WWW-Authenticate says of a token that is no good (RFC 6750 §3.1)."""


class ApiAccess:
    """The way of a client to an API."""

    def __init__(
        self, apis: tuple[str, ...], key: str | None, credential: ApiCredential | None, retries: RetryPolicy | None
    ) -> None:
        if (key is None) == (credential is None):
            raise ConfigurationError("Name either a key or another credential to call the API with.")
        self.origins = Origins(apis)
        self.credential = credential or FixedCredential(key or "")
        self.announcements = Announcements(credential.identity if credential else key or "")
        self.retries = retries or RetryPolicy()

    def begin(self, sent: SentRequest) -> Repetitions:
        """Return what decides how often a request is sent."""
        return Repetitions(self.retries, sent)


def refused(status: int, headers: Mapping[str, str], body: bytes) -> RefusedResponse:
    """Return a response that says no."""
    code = _code(body) if "json" in headers.get("Content-Type", "") else ""
    is_of_the_token = status == HTTPStatus.UNAUTHORIZED and REFUSES_IT in headers.get("WWW-Authenticate", "")
    return RefusedResponse(status, headers.get("Retry-After", ""), code, is_of_the_token)


def _code(body: bytes) -> str:
    try:
        sent: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    code = sent.get("code") if isinstance(sent, dict) else None
    return code if isinstance(code, str) else ""
