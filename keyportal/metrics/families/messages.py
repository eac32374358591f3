"""Metrics of messages."""

from typing import Final

from accounts.sending import counts
from keyportal.mailer import mailer
from keyportal.metrics.metric import Combine, counter, gauge

METRICS: Final = (
    counter(
        "keyportal_messages_sent_total",
        says="Messages that the mail server took.",
        advice="None for long, while some wait: the mail server is away.",
        read=lambda: counts().sent,
    ),
    counter(
        "keyportal_messages_failed_total",
        says="Tries in which the mail server did not accept a message.",
        advice="Rising: look for `mail_delayed` in the log; the code behind it is the mail server's.",
        read=lambda: counts().failed,
    ),
    counter(
        "keyportal_messages_given_up_total",
        says="Messages that were given up and will not arrive.",
        advice="Any: look for `mail_unsent` in the log. Users can request links again.",
        read=lambda: counts().given_up,
    ),
    gauge(
        "keyportal_messages_waiting",
        says="Messages that wait for the mail server.",
        advice="Rising: the mail server is away or slow.",
        read=lambda: mailer().backlog.waiting,
        combine=Combine.MAX,  # all workers count the same ones
    ),
    gauge(
        "keyportal_messages_wait_seconds",
        says="How long the oldest of them has waited.",
        advice="Above 300: nobody gets confirmation links. Look for “messages are waiting” in the log.",
        read=lambda: mailer().backlog.longest_wait,
        combine=Combine.MAX,
    ),
)
