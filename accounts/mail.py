"""Compose messages from templates, without a request, under the portal's own name and address."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to one mailbox."""

    to: str
    subject: str
    text: str
    html: str

    def as_email(self, headers: dict[str, str]) -> EmailMultiAlternatives:
        """Return the e-mail, with headers that keep other machines from answering it (RFC 3834)."""
        automatic = {
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",  # for Exchange, which otherwise still sends absence notes
        }
        email = EmailMultiAlternatives(self.subject, self.text, to=[self.to], headers={**automatic, **headers})
        email.attach_alternative(self.html, "text/html")
        return email


def compose(template: str, to: str, context: dict[str, Any]) -> Message:
    """Return the message from `<template>_subject.txt` and `<template>_message.txt`, with an HTML version of it."""
    host = urlsplit(settings.KEYPORTAL_URL).netloc
    known = {"current_site": SimpleNamespace(name="keyportal", domain=host), **context}
    subject = " ".join(render_to_string(f"{template}_subject.txt", known).split())
    subject = f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}"
    text = render_to_string(f"{template}_message.txt", known).strip()
    html = render_to_string("account/email/page.html", {"text": text, "subject": subject})
    return Message(to=to, subject=subject, text=text, html=html)
