"""The secrets of keys."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apikeys.models.keys import APIKey
from integrity.rings import index_ring
from integrity.sealed import SealedRow
from vault.digests import index_digests
from vault.secret_format import new_id


def new_secret_id() -> str:
    """Return a fresh row id, `sec_…`. It exists before the row does, because the ciphertext is bound to it."""
    return new_id("sec")


class KeySecretQuerySet(models.QuerySet["KeySecret"]):
    """Selections of secrets."""

    def live(self) -> Self:
        """Return the secrets that are not retired. A key that has not ended has one, or two during an overlap."""
        return self.filter(Q(retires_at=None) | Q(retires_at__gt=timezone.now()))

    def retired(self) -> Self:
        """Return the secrets whose overlap has ended."""
        return self.filter(retires_at__lte=timezone.now())

    def with_secret(self, secret: str) -> Self:
        """Return the row of this secret, looked up by its digest under each key of the index ring."""
        return self.filter(digest__in=index_digests(index_ring(), secret))


def live_secrets() -> "models.Prefetch[str]":
    """Return the instruction to fetch the secrets of keys that are not retired: one a key, or two in an overlap.

    How many were retired depends on how often a key was rotated, and has no bound.
    """
    return models.Prefetch("secrets", KeySecret.objects.live())


class KeySecret(SealedRow):
    """One secret of a key: the digest by which it is found, and the ciphertext from which it can be revealed."""

    id = models.CharField(primary_key=True, max_length=32, default=new_secret_id, editable=False)
    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, related_name="secrets")
    digest = models.BinaryField(max_length=32, unique=True)
    index_key_id = models.CharField(max_length=16)
    ciphertext = models.BinaryField(null=True)
    hint = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    replaced_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When a newer secret took its place; null for the key's current one."""
    retires_at = models.DateTimeField(null=True, blank=True)
    """When it stops working: at the end of the overlap; null for the key's current one."""

    notice_at = models.DateTimeField(null=True, editable=False)
    """When the next notice about its retirement is due; null if none is to come."""

    PURPOSE = "key secret"
    SEALED = ("id", "key_id", "index_key_id", "digest", "replaced_at", "retires_at")

    objects: ClassVar[models.Manager["KeySecret"]] = KeySecretQuerySet.as_manager()

    class Meta:
        # Newest first, so that the secret in use is at the top. The indexes find the notices that are due, and
        # the secrets whose overlap goes on.
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            models.Index(fields=["notice_at"], name="secrets_by_notice", condition=Q(notice_at__isnull=False)),
            models.Index(fields=["retires_at"], name="secrets_by_end", condition=Q(retires_at__isnull=False)),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key"], condition=Q(replaced_at=None), name="one_current_secret_a_key"),
        ]

    def __str__(self) -> str:
        return self.hint

    @property
    def can_be_revealed(self) -> bool:
        """Whether there is a ciphertext to reveal: not for a show-once secret, nor for one that has ended."""
        return self.ciphertext is not None and not self.is_retired

    @property
    def is_retired(self) -> bool:
        """Whether the overlap after which it is refused has ended."""
        return self.retires_at is not None and self.retires_at <= timezone.now()

    @property
    def is_current(self) -> bool:
        """Whether it is the key's newest secret."""
        return self.replaced_at is None

    def sealing_context(self, key: APIKey) -> list[str]:
        """Return the associated data of the ciphertext, which then opens only in this row, for this key and owner."""
        return ["key secret", self.id, key.id, key.owner_id, key.environment]
