"""Local mode only: pages with the e-mails that the portal has sent. Production has no URLs for them."""

import re
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

SHOWN = 50


class SentMessage(NamedTuple):
    """One e-mail, as the pages show it. `name` is its file and its position in it."""

    name: str
    to: str
    subject: str
    date: datetime
    text: str

    @property
    def link(self) -> str | None:
        """The first URL in the text, which is what the e-mail is about."""
        found = re.search(r"https?://\S+", self.text)
        return found[0] if found else None


@require_safe
def messages(request: HttpRequest) -> HttpResponse:
    """Show the newest e-mails, newest first."""
    return TemplateResponse(request, "outbox/list.html", {"sent": _sent_messages()[:SHOWN]})


@require_safe
def message(request: HttpRequest, name: str) -> HttpResponse:
    """Show one e-mail with its links."""
    for candidate in _sent_messages():
        if candidate.name == name:
            return TemplateResponse(request, "outbox/message.html", {"message": candidate})
    raise Http404


def _sent_messages() -> list[SentMessage]:
    """Return every e-mail of the outbox, newest first."""
    folder = Path(settings.EMAIL_FILE_PATH)
    files = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [sent for path in files for sent in reversed(_read(path))]


def _read(path: Path) -> list[SentMessage]:
    # Django's file backend writes the messages of one connection one after the other, each closed by a line of dashes.
    parts = [part for part in path.read_bytes().split(b"\n" + b"-" * 79 + b"\n") if part.strip()]
    return [_parse(f"{path.stem}-{position}", raw) for position, raw in enumerate(parts)]


def _parse(name: str, raw: bytes) -> SentMessage:
    parsed = BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)
    body = parsed.get_body(preferencelist=("plain", "html"))
    text = body.get_content() if body is not None else ""
    return SentMessage(name, str(parsed["To"] or ""), str(parsed["Subject"] or ""), parsed["Date"].datetime, text)
