"""Which notices were queued."""

from typing import ClassVar

from django.db import models

from apikeys.models.keys import APIKey
from vault.secret_format import new_id


def new_notice_id() -> str:
    """Return a fresh row id, `ntc_…`. It exists before the row does, so that a worker knows which rows are its own."""
    return new_id("ntc")


class Notice(models.Model):
    """A message that was queued about a key. Whoever inserts the row sends it, so it is sent once by all hosts."""

    id = models.CharField(primary_key=True, max_length=32, default=new_notice_id, editable=False)
    # The unique constraint has an index that begins with the key.
    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, related_name="notices", db_index=False)
    secret = models.CharField(max_length=32, blank=True)
    """The id of the former secret; empty for a notice about the key's expiry."""
    kind = models.CharField(max_length=16)
    """A `NoticeKind`."""
    due_for = models.DateTimeField(db_index=True)
    """The expiry, or the end of the overlap. Another expiry has notices of its own."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "secret", "kind", "due_for"], name="one_notice"),
        ]

    def __str__(self) -> str:
        return self.id
