"""An error page that depends on nothing that may be broken: no template, static file, session or database."""

import base64
import hashlib
from html import escape
from http import HTTPStatus
from typing import Final

MESSAGES: Final = {
    HTTPStatus.REQUEST_TIMEOUT: (
        "That took too long",
        "Only part of the request arrived. Check your connection and try again.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: ("The portal is busy", "Nothing was lost. Try again in a few seconds."),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "Something went wrong in the portal",
        "The error was logged. Try again in a moment.",
    ),
}
OTHERWISE: Final = "This page can't be shown. Go back, or go to the start page."
STYLE: Final = (
    "body{max-width:34rem;margin:12vh auto 0;padding:0 1.25rem;font:1rem/1.6 system-ui,sans-serif;"
    "background:#fafaf9;color:#1b1d1f}h1{font-size:1.9rem;line-height:1.2}code{overflow-wrap:anywhere}"
    "a{display:inline-block;padding:.4rem .9rem;border:1px solid #b9bcc0;border-radius:6px;color:inherit;"
    "font-weight:600;text-decoration:none}"
    "@media(prefers-color-scheme:dark){body{background:#121315;color:#e8eaed}a{border-color:#4a4d52}}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's content security policy: its own style, and nothing else."""
PAGE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><title>{title} · keyportal</title><style>{style}</style>'
    "<main><h1>{title}</h1><p>{message}</p><p>Request <code>{request_id}</code></p>"
    '<p><a href="/">Go to the start page</a></p></main></html>'
)


def plain_page(status: int, request_id: str, detail: str = "") -> bytes:
    """Return the page of a status, for a response with `POLICY`. `detail` says more than the status does."""
    title, message = MESSAGES.get(HTTPStatus(status), (HTTPStatus(status).phrase, detail or OTHERWISE))
    return PAGE.format(title=title, style=STYLE, message=escape(message), request_id=escape(request_id)).encode()
