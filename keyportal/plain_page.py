"""A page that depends on nothing that may be broken: no template, no static file, no session, no database."""

from html import escape
from http import HTTPStatus
from typing import Final

WORDS: Final = {
    HTTPStatus.SERVICE_UNAVAILABLE: ("The portal is busy", "Nothing was lost. Try again in a few seconds."),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("Something broke in the portal", "It has been noted. Try again in a moment."),
}
OTHERWISE: Final = "The page that belongs here can't be shown. Go back, or to the start page."
PAGE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><title>{title} · keyportal</title>'
    "<h1>{title}</h1><p>{words}</p><p>Request <code>{request_id}</code></p>"
    '<p><a href="/">To the start page</a></p></html>'
)


def plain_page(status: int, request_id: str, detail: str = "") -> bytes:
    """Return the page of a status; `detail` says more than that does."""
    title, words = WORDS.get(HTTPStatus(status), (HTTPStatus(status).phrase, detail or OTHERWISE))
    return PAGE.format(title=title, words=escape(words), request_id=escape(request_id)).encode()
