"""The audit trail and its chain."""

from ipaddress import ip_address
from typing import ClassVar

from django.db import models
from django.utils import timezone
from typing_extensions import override

from audit.event_types import sentence_of
from integrity.sealed import SealedRow, canonical


class Event(SealedRow):
    """A recorded event. The database allows inserts only (`audit.append_only`).

    Its seal covers all of it, so that an altered or forged event is detected (`audit.chain`).
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
    """The time after which the event may be removed; null for never."""

    PURPOSE = "audit event"
    SEALED = (
        *("id", "at", "verb", "actor", "subject_type", "subject_id", "address", "peer", "request_id", "details"),
        "keep_until",
    )

    class Meta:
        # Indexes for a key's timeline (by subject) and a user's history (by actor), newest first, and for removal.
        indexes: ClassVar = [
            models.Index(fields=["subject_type", "subject_id", "-at"], name="audit_by_subject"),
            models.Index(fields=["actor", "-at"], name="audit_by_actor"),
            models.Index(fields=["keep_until"], name="audit_by_end", condition=models.Q(keep_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject_type}:{self.subject_id}"

    @property
    def sentence(self) -> str:
        """The event's description on pages."""
        return sentence_of(self.verb)

    @override
    def sealed_fields(self) -> list[str | bytes]:
        """Return all fields, in the form that the database returns. Raises ValueError for an invalid address."""
        addresses = {name: str(ip_address(text)) for name in ("address", "peer") if (text := getattr(self, name))}
        return [self.PURPOSE, *(canonical(addresses.get(name, getattr(self, name))) for name in self.SEALED)]


class ChainLink(SealedRow):
    """A link of the chain over the trail: the ids of events that existed, or of those removed in their time."""

    # The primary key, and so SQLite's rowid: a separate rowid would let REPLACE overwrite a row by that as well.
    number = models.BigAutoField(primary_key=True)
    """Consecutive, without a gap; assigned by `audit.chain`."""
    at = models.DateTimeField(default=timezone.now)
    removed = models.BooleanField(default=False)
    ids = models.TextField()
    """The ids of the events as `1-5 7 9-12`."""
    reach = models.PositiveBigIntegerField()
    """The highest id that this link or an earlier one covers."""
    digest = models.BinaryField(max_length=32)
    """The digest over the seals of these events; of no seals, where they were removed."""

    PURPOSE = "audit chain link"
    SEALED = ("number", "at", "removed", "ids", "reach", "digest")

    before = b""
    """The seal of the previous link, which this link's seal covers; empty for the first."""

    def __str__(self) -> str:
        return f"{self.number}: {self.ids}"

    @override
    def sealed_fields(self) -> list[str | bytes]:
        """Return all fields, and the seal of the previous link."""
        return [*super().sealed_fields(), self.before]


class ChainState(SealedRow):
    """The end of the chain, and the events whose removal is under way, or broke off, and is not recorded yet."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    count = models.PositiveBigIntegerField(default=0)
    earliest = models.DateTimeField(null=True)
    latest = models.DateTimeField(null=True)
    head = models.PositiveBigIntegerField(default=0)
    """The number of the newest link; 0 before the first."""
    head_seal = models.BinaryField(max_length=64, default=b"")
    """The newest link's seal, which shows if the end of the chain was cut off."""

    PURPOSE = "audit state"
    SEALED = ("id", "count", "earliest", "latest", "head", "head_seal")

    class Meta:
        # A single row, which is locked while the chain is extended.
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="one_chain_state")]

    def __str__(self) -> str:
        return f"link {self.head}, {self.count} removed events not recorded yet"
