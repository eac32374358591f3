"""The scope catalogue, usage counts, source addresses and the change counter."""

from typing import ClassVar, Final

from django.core.validators import RegexValidator
from django.db import models

from integrity.sealed import SealedRow

SCOPE_NAME = r"[a-z][a-z0-9_.-]*(:[a-z][a-z0-9_.-]*)?"
"""A subset of RFC 6749's scope-token that reads well in a list."""


BUILT_IN: Final = frozenset({"credentials:verify"})
"""Scopes that the portal itself requires, all restricted. Migrations write their rows, unsealed for lack of a ring."""


class ScopeQuerySet(models.QuerySet["Scope"]):
    """A queryset of scopes."""

    def with_valid_seals(self) -> list["Scope"]:
        """Return the scopes that are as the portal wrote them. No other scope belongs to a catalogue."""
        return [scope for scope in self if scope.seal_is_valid()]


class Scope(SealedRow):
    """A named right. It is never renamed, because keys name it and their row seals cover the name.

    Its own seal covers whether it is restricted: a scope that was not written by the portal is in no catalogue.
    """

    name = models.CharField(
        primary_key=True,
        max_length=64,
        validators=[RegexValidator(rf"^{SCOPE_NAME}\Z", "Lower-case words, such as reports:read.")],
    )
    description = models.CharField(max_length=200, help_text="What it allows, as developers read it.")
    restricted = models.BooleanField(
        default=False, help_text="Only operators can grant it; developers can't add it themselves."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager["Scope"]] = ScopeQuerySet.as_manager()

    PURPOSE = "scope"
    SEALED = ("name", "restricted")

    class Meta:
        """Ordered by name."""

        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def seal_is_valid(self) -> bool:
        """Return whether the row's seal is valid, or the scope is one of `BUILT_IN`."""
        return is_built_in(self.name, restricted=self.restricted) or super().seal_is_valid()


def is_built_in(name: str, *, restricted: bool) -> bool:
    """Return whether the scope is one of `BUILT_IN`, and restricted as those are."""
    return restricted and name in BUILT_IN


class Usage(models.Model):
    """The number of calls of a credential in one hour, at one entry point (`door`), with one outcome."""

    credential = models.CharField(max_length=32)
    """The key's id, also for tokens issued for it; the user's id for tokens of a log-in."""
    hour = models.DateTimeField(db_index=True)
    door = models.CharField(max_length=16)
    outcome = models.CharField(max_length=24)
    """`accepted`, or the code of the refusal."""
    count = models.PositiveBigIntegerField()

    class Meta:
        """Rows are written by `credentials.services.add_usage`."""

        verbose_name_plural = "usage"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "hour", "door", "outcome"], name="usage_counted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.door} {self.outcome}"


class Sighting(models.Model):
    """An address from which a credential was used successfully, first and last; the newest addresses are kept."""

    credential = models.CharField(max_length=32)
    secret = models.CharField(max_length=32, blank=True)
    """The id of the key's secret; empty for a token."""
    address = models.CharField(max_length=45, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        """Rows are written by `credentials.services.add_usage`."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "secret", "address"], name="sighting_of_an_address"),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.address}"


class UsageBatch(models.Model):
    """A batch of counts that was added to the tables above, so that the same batch is never counted twice."""

    id = models.CharField(primary_key=True, max_length=32)
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        """Kept for a day; no process retries a batch for longer."""

        verbose_name_plural = "usage batches"

    def __str__(self) -> str:
        return self.id


class ChangeCounter(models.Model):
    """The number of transactions that changed data a verdict depends on: one row, raised by triggers (PostgreSQL)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    identity = models.CharField(max_length=36)
    """The random identity of the database."""
    n = models.PositiveBigIntegerField(default=0)
    mark = models.CharField(max_length=36)
    """A random mark for this value of `n`."""
    raised_by = models.BigIntegerField(default=0)
    """The transaction that raised it last. A transaction raises it once, however many rows it changes."""
    raised_at = models.DateTimeField(null=True)

    class Meta:
        """Written by the triggers of `credentials.triggers` only."""

        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="one_change_counter")]

    def __str__(self) -> str:
        return f"{self.identity}:{self.n}"
