"""Messages: made of templates, without a request, under the portal's own name and address."""

import logging
from email.utils import make_msgid
from smtplib import SMTPException
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)


def compose(template: str, to: str, context: dict[str, Any]) -> EmailMessage:
    """Return the message of `<template>_subject.txt` and `<template>_message.txt`, with its links beside it as HTML."""
    host = urlsplit(settings.KEYPORTAL_URL).netloc
    known = {"current_site": SimpleNamespace(name="keyportal", domain=host), **context}
    subject = " ".join(render_to_string(f"{template}_subject.txt", known).split())
    text = render_to_string(f"{template}_message.txt", known).strip()
    message = EmailMultiAlternatives(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}", text, to=[to])
    page = render_to_string("account/email/page.html", {"text": text, "subject": message.subject})
    message.attach_alternative(page, "text/html")
    return prepared(message)


def prepared(message: EmailMessage) -> EmailMessage:
    """Return the message with the headers that keep other machines from answering it (RFC 3834).

    Its Message-ID names the portal's host: Python's own would tell the world what the machine is called.
    """
    message.extra_headers = {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",  # for Exchange, which answers with absence notes all the same
        "Message-ID": make_msgid(domain=urlsplit(settings.KEYPORTAL_URL).hostname),
        **message.extra_headers,
    }
    return message


def deliver(message: EmailMessage, what: str) -> None:
    """Hand the message to the mail server; one that can't take it is logged under this name, and nobody else told.

    A page says the same either way: another answer would tell strangers which addresses have an account.
    """
    try:
        message.send()
    except (OSError, SMTPException):
        logger.exception("mail_unsent: %s", what)
