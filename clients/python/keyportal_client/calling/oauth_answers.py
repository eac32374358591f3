"""Answers of the portal's token endpoint: a token, or the error of RFC 6749 §5.2."""

import json
import re
from http import HTTPStatus
from typing import Any, Final, TypedDict

from keyportal_client.answers import json_of
from keyportal_client.calling.renewing import AccessToken
from keyportal_client.conforming import conform
from keyportal_client.errors import NotAuthenticatedError, RateLimitedError, RefusedError
from keyportal_client.shapes import Token
from keyportal_client.transport import Answer

_CODE: Final = re.compile(r"[a-z_]{1,40}")
_TEXT: Final = re.compile(r"[ !#-\[\]-~]{1,400}")
"""What RFC 6749 §5.2 allows in a description."""
_KINDS: Final[dict[int, type[RefusedError]]] = {
    HTTPStatus.UNAUTHORIZED: NotAuthenticatedError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
}


class TokenJson(TypedDict):
    """What a client needs of a token."""

    access_token: Token
    expires_in: int


def token_of(answer: Answer) -> AccessToken:
    """Return the token in an answer. Raises `RefusedError`, `UnexpectedAnswerError`."""
    refusal = _refusal(answer)
    if refusal is not None:
        raise refusal
    sent = conform(json_of(answer), TokenJson)
    return AccessToken(sent["access_token"], float(sent["expires_in"]))


def _refusal(answer: Answer) -> RefusedError | None:
    try:
        body: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    error, text = (body.get("error"), body.get("error_description")) if isinstance(body, dict) else (None, None)
    if answer.status < HTTPStatus.BAD_REQUEST or not isinstance(error, str) or not _CODE.fullmatch(error):
        return None
    title = text if isinstance(text, str) and _TEXT.fullmatch(text) else f"The portal refuses a token ({error})."
    wait = answer.headers.get("Retry-After", "")
    kind = _KINDS.get(answer.status, RefusedError)
    return kind(title, status=answer.status, code=error, retry_after=int(wait) if wait.isdecimal() else None)
