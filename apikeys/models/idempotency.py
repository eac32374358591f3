"""Answers that are kept so that a repeated call gets the same one."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from apikeys.models.keys import APIKey
from vault.secret_format import new_id


def new_answer_id() -> str:
    """Return a fresh row id, `idm_…`. It exists before the row does, because the content is bound to it."""
    return new_id("idm")


class IdempotentAnswer(models.Model):
    """The answer to a call with an `Idempotency-Key`, sealed, since it may hold a secret."""

    id = models.CharField(primary_key=True, max_length=32, default=new_answer_id, editable=False)
    caller = models.CharField(max_length=64)
    """The key or user that called: `key:key_…`, `user:usr_…`."""
    call = models.BinaryField(max_length=32)
    """The digest of the caller's Idempotency-Key."""
    request = models.BinaryField(max_length=32)
    """The digest of the request: method, address and body."""
    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, related_name="idempotent_answers")
    """The key that the call created or changed."""
    holds_secret = models.BooleanField()
    content = models.BinaryField(null=True)
    """The sealed answer; null once it was destroyed, because its secret was replaced or is shown only once."""
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["caller", "call"], name="one_answer_a_call"),
        ]

    def __str__(self) -> str:
        return self.id

    def sealing_context(self) -> list[str]:
        """Return the associated data of the content, which then opens only in this row, for this caller and call."""
        digests = [bytes(self.call).hex(), bytes(self.request).hex()]
        rest = [str(self.holds_secret), self.created_at.isoformat()]
        return ["idempotent answer", self.id, self.caller, self.key_id, *digests, *rest]
