"""Messages that are waiting to be sent."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from vault.secret_format import new_id


def new_message_id() -> str:
    """Return a fresh public id, `msg_…`, which is also part of the message's `Message-ID`."""
    return new_id("msg")


class PendingMessage(models.Model):
    """A message that is committed and waits for the mail server. Its row is deleted once it is sent.

    Recipient and text are in `content` only, sealed for this row, because they may hold a link that gives access.
    """

    id = models.CharField(primary_key=True, max_length=32, default=new_message_id, editable=False)
    what = models.CharField(max_length=64, editable=False)
    """The name of its template, by which the log and operators know it."""
    content = models.BinaryField(null=True, editable=False)
    """None once the message was given up."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(db_default=Now(), editable=False)
    """When a worker may claim it. Claiming moves this time on, so that no other worker does meanwhile."""
    tries = models.PositiveSmallIntegerField(default=0, editable=False)
    """How often a worker claimed it. The number of a try identifies the worker that has it."""
    given_up_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        # The index finds the messages that are due.
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="messages_by_due", condition=models.Q(given_up_at=None))
        ]

    def __str__(self) -> str:
        return self.id
