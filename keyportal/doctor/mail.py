"""The mail server: whether it answers, takes the log-in, and, on request, a message."""

from collections.abc import Iterator

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from keyportal.doctor.findings import Finding, note, problem, warning
from keyportal.doctor.nearness import is_on_this_host
from keyportal.errors.redacted_errors import in_short

AWAY = problem(
    "mail_away",
    meaning="Nobody can confirm an address or set a password. Messages wait for three days.",
    advice="Check EMAIL_URL: scheme (smtp://, smtp+tls://, smtp+ssl://), host, port, user and password.",
)
REFUSED = problem(
    "mail_refused",
    meaning="It answers, and does not deliver messages of the portal.",
    advice="Check KEYPORTAL_MAIL_FROM, and whether the server lets this user and host send for it.",
)
IN_CLEAR = warning(
    "mail_in_clear",
    meaning="Whoever reads along on the way can open the links in messages, and so accounts.",
    advice="Use smtp+tls:// (STARTTLS) or smtp+ssl:// in EMAIL_URL.",
)
SENT = note(
    "mail_sent",
    meaning="Whether it arrives, only the mailbox can tell.",
    advice="Look into the mailbox, and into the folder for spam. If it is there, set up SPF and DKIM for the sender.",
)


def examine() -> Iterator[Finding]:
    """Connect and log in to the server, as the portal does before it sends. Nothing is sent."""
    if settings.KEYPORTAL_LOCAL:
        return
    if not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL or is_on_this_host(settings.EMAIL_HOST)):
        yield IN_CLEAR.found("Messages go to the mail server unencrypted.")
    server = get_connection()
    try:
        server.open()
    except OSError as error:
        yield AWAY.found(f"The mail server can't be used: {in_short(error)}.")
    finally:
        server.close()


def send(address: str) -> Iterator[Finding]:
    """Send a message to an address at once, past the waiting ones, and yield how that went."""
    message = EmailMessage(
        subject=f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}Test message",
        body=f"The operators of {settings.KEYPORTAL_URL} test whether messages arrive. This one did.\n",
        to=[address],
        headers={"Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except (OSError, ValueError) as error:
        yield REFUSED.found(f"The mail server did not take a message: {in_short(error)}.")
    else:
        yield SENT.found("The mail server took a message.")
