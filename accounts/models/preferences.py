"""Which messages users get."""

from typing import ClassVar

from django.db import models

from accounts.models.users import User


class EmailPreference(models.Model):
    """A user's explicit choice about one kind of message (`accounts.message_kinds`). Without a row, its default holds.

    No seal covers it: messages about access to the account and to secrets are of no kind, and always sent.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="email_preferences")
    kind = models.CharField(max_length=16)
    wanted = models.BooleanField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "kind"], name="one_preference_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.user_id}"
