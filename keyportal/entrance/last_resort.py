"""What is answered where nothing else can be: without a template, a database, a static file or a thread."""

from http import HTTPStatus
from typing import Final

from django.conf import settings

from keyportal.entrance.answer import Answer
from keyportal.errors import CODE_OF
from keyportal.policies import MACHINE_POLICY
from keyportal.problems import RETRY_AFTER, Problem

WORDS: Final = {
    HTTPStatus.SERVICE_UNAVAILABLE: ("The portal is busy", "Nothing was lost. Try again in a few seconds."),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("Something broke in the portal", "It has been noted. Try again in a moment."),
}
PAGE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<title>{title} · keyportal</title><h1>{title}</h1><p>{words}</p><p><a href="/">Start page</a></p></html>'
)


def last_resort(path: str, status: HTTPStatus, request_id: str, detail: str = "") -> Answer:
    """Return an answer that somebody who asks for this path understands."""
    headers = {
        "x-request-id": request_id,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "content-security-policy": MACHINE_POLICY,
        "cache-control": "no-store",
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER)
    if path.startswith(settings.KEYPORTAL_MACHINE_PATHS):
        problem = Problem(CODE_OF[status], {"detail": detail} if detail else {}).answer(path)
        headers |= {name.lower(): value for name, value in problem.items()}
        return Answer(status, list(headers.items()), problem.content)
    title, words = WORDS.get(status, (status.phrase, detail))
    headers["content-type"] = "text/html; charset=utf-8"
    return Answer(status, list(headers.items()), PAGE.format(title=title, words=words).encode())
