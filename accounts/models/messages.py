"""Messages that wait to be sent."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from vault.secret_format import new_id


def new_message_id() -> str:
    """Return a fresh public id, `msg_…`. It is in the message's `Message-ID` as well."""
    return new_id("msg")


class PendingMessage(models.Model):
    """A message between the commit of what it tells of and the mail server. Its row goes when it has left.

    Whom it is for and what it says is in `content` only, sealed for this row: it may hold a link that lets somebody in.
    """

    id = models.CharField(primary_key=True, max_length=32, default=new_message_id, editable=False)
    what = models.CharField(max_length=64, editable=False)
    """Its template: what the log and operators call it."""
    content = models.BinaryField(null=True, editable=False)
    """None once it was given up."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(db_default=Now(), editable=False)
    """From when on a worker may take it. Who takes it moves this on, so that nobody else does meanwhile."""
    tries = models.PositiveSmallIntegerField(default=0, editable=False)
    """How often a worker took it; the number of a try tells whose it is."""
    given_up_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        """Written by `accounts.pending`; asked for what is due."""

        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="messages_by_due", condition=models.Q(given_up_at=None))
        ]

    def __str__(self) -> str:
        return self.id
