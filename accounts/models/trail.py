"""The audit trail and its chain."""

from ipaddress import ip_address
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.sealed import SealedRow, canonical
from accounts.wording import words_for


class AuditEvent(SealedRow):
    """One thing that happened. Only ever inserted: the database refuses all else (`accounts.append_only`).

    Its seal covers all of it, so that one that somebody altered or made up shows (`accounts.trail`).
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    verb = models.CharField(max_length=40)
    actor = models.CharField(max_length=80)
    subject_type = models.CharField(max_length=20)
    subject_id = models.CharField(max_length=64)
    address = models.GenericIPAddressField("client address", null=True)
    peer = models.GenericIPAddressField("peer address", null=True)
    request_id = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict)
    keep_until = models.DateTimeField(null=True, editable=False)
    """From when on it may be removed; null: never."""

    PURPOSE = "audit event"
    SEALED = (
        *("id", "at", "verb", "actor", "subject_type", "subject_id", "address", "peer", "request_id", "details"),
        "keep_until",
    )

    class Meta:
        """Read by subject (a key's timeline) and by actor (a user's history), newest first."""

        indexes: ClassVar = [
            models.Index(fields=["subject_type", "subject_id", "-at"], name="audit_by_subject"),
            models.Index(fields=["actor", "-at"], name="audit_by_actor"),
            models.Index(fields=["keep_until"], name="audit_by_end", condition=models.Q(keep_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject_type}:{self.subject_id}"

    @property
    def words(self) -> str:
        """What a page says of it."""
        return words_for(self.verb, self.subject_type)

    def sealed_fields(self) -> list[str | bytes]:
        """Return all of it, as a database gives it back. Raises ValueError for an address that is none."""
        addresses = {name: str(ip_address(text)) for name in ("address", "peer") if (text := getattr(self, name))}
        return [self.PURPOSE, *(canonical(addresses.get(name, getattr(self, name))) for name in self.SEALED)]


class AuditCheckpoint(SealedRow):
    """A link of the chain over the trail: which events there were, or which of them were removed in their time."""

    # On SQLite it is the row's own number, by which REPLACE could take a row's place as well.
    number = models.BigAutoField(primary_key=True)
    """One after the other, without a gap: given by `accounts.trail`."""
    at = models.DateTimeField(default=timezone.now)
    removed = models.BooleanField(default=False)
    ids = models.TextField()
    """Of the events: `1-5 7 9-12`."""
    reach = models.PositiveBigIntegerField()
    """The highest id that this link or one before it covers."""
    digest = models.BinaryField(max_length=32)
    """Over the seals of the events that there were."""

    PURPOSE = "audit checkpoint"
    SEALED = ("number", "at", "removed", "ids", "reach", "digest")

    before = b""
    """The seal of the link before this one, which this one's covers; empty for the first."""

    class Meta:
        """Written by `accounts.trail`, and never again."""

    def __str__(self) -> str:
        return f"{self.number}: {self.ids}"

    def sealed_fields(self) -> list[str | bytes]:
        """Return all of it, and the seal of the link before."""
        return [*super().sealed_fields(), self.before]


class AuditState(SealedRow):
    """Where the chain ends, and what was removed and is told of in no event yet, because that goes on, or broke off."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    count = models.PositiveBigIntegerField(default=0)
    earliest = models.DateTimeField(null=True)
    latest = models.DateTimeField(null=True)
    head = models.PositiveBigIntegerField(default=0)
    """The number of the newest link; 0 if there was none yet."""
    head_seal = models.BinaryField(max_length=64, default=b"")
    """Its seal: that the end of the chain was cut off shows here."""

    PURPOSE = "audit state"
    SEALED = ("id", "count", "earliest", "latest", "head", "head_seal")

    class Meta:
        """One row, which whoever extends the chain holds meanwhile."""

        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="one_audit_state")]

    def __str__(self) -> str:
        return f"link {self.head}, {self.count} events untold"
