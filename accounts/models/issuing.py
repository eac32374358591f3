"""Whether operators have suspended the issuing of credentials."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from integrity.sealed import SealedRow

REASON_LENGTH = 200


class IssuingState(SealedRow):
    """The one row that says whether new credentials are issued. Without a row, nothing was ever suspended."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    number = models.PositiveBigIntegerField(default=0, editable=False)
    """Raised by every change. The trail has it too, so an older copy of the row is detected."""
    suspended_at = models.DateTimeField(null=True, editable=False)
    until = models.DateTimeField(null=True, blank=True)
    """When the suspension ends by itself; null if an operator has to end it."""
    allows_rotation = models.BooleanField(default=False)
    reason = models.CharField(max_length=REASON_LENGTH, blank=True)

    PURPOSE = "issuing state"
    SEALED = ("id", "number", "suspended_at", "until", "allows_rotation", "reason")

    class Meta:
        verbose_name = "setting for new credentials"
        verbose_name_plural = "new credentials"
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_issuing_state")]

    def __str__(self) -> str:
        return "suspended" if self.suspended_at else "issued"
