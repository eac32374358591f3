"""The scope catalogue, what was counted, and the counter of changes."""

from typing import ClassVar, Final

from django.core.validators import RegexValidator
from django.db import models

from accounts.sealed import SealedRow

SCOPE_NAME = r"[a-z][a-z0-9_.-]*(:[a-z][a-z0-9_.-]*)?"
"""A subset of RFC 6749's scope-token: what reads well in a list."""


BUILT_IN: Final = frozenset({"credentials:verify"})
"""Scopes that the portal itself asks for. Migrations write their rows, which know no ring; they are restricted."""


class ScopeQuerySet(models.QuerySet["Scope"]):
    """Selections of scopes."""

    def intact(self) -> list["Scope"]:
        """Those that are as the portal wrote them: no other is in any catalogue."""
        return [scope for scope in self if scope.is_intact()]


class Scope(SealedRow):
    """A named right. It is never renamed: keys name it, and their row seals cover the name.

    Its own seal covers who may take it: a scope that was written past the portal is in no catalogue.
    """

    name = models.CharField(
        primary_key=True,
        max_length=64,
        validators=[RegexValidator(rf"^{SCOPE_NAME}\Z", "Lower-case words, such as reports:read.")],
    )
    description = models.CharField(max_length=200, help_text="What it allows, in a developer's words.")
    restricted = models.BooleanField(
        default=False, help_text="Only operators grant it; developers can't take it themselves."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager["Scope"]] = ScopeQuerySet.as_manager()

    PURPOSE = "scope"
    SEALED = ("name", "restricted")

    class Meta:
        """Read in the order of their names."""

        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def is_intact(self) -> bool:
        """Return whether the row is as the portal wrote it, or as it comes with the portal."""
        return is_built_in(self.name, restricted=self.restricted) or super().is_intact()


def is_built_in(name: str, *, restricted: bool) -> bool:
    """Return whether a scope is one that comes with the portal, as it comes: restricted."""
    return restricted and name in BUILT_IN


class Usage(models.Model):
    """How often a credential was used in one hour, at one door, with one outcome."""

    credential = models.CharField(max_length=32)
    """The key, also for tokens that it was swapped for; the user, for tokens of a log-in."""
    hour = models.DateTimeField(db_index=True)
    door = models.CharField(max_length=16)
    outcome = models.CharField(max_length=24)
    """`accepted`, or the code of the refusal."""
    count = models.PositiveBigIntegerField()

    class Meta:
        """Written by `credentials.services.add_usage`."""

        verbose_name_plural = "usage"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "hour", "door", "outcome"], name="usage_counted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.door} {self.outcome}"


class Sighting(models.Model):
    """From where a credential was used with success, and when first and last; some of the newest addresses of each."""

    credential = models.CharField(max_length=32)
    secret = models.CharField(max_length=32, blank=True)
    """Which of the key's secrets; empty for a token."""
    address = models.CharField(max_length=45, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        """Written by `credentials.services.add_usage`."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "secret", "address"], name="sighting_of_an_address"),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.address}"


class UsageBatch(models.Model):
    """A batch of counts that is in the tables above: what comes a second time is not counted again."""

    id = models.CharField(primary_key=True, max_length=32)
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        """Kept for a day; nobody tries for longer."""

        verbose_name_plural = "usage batches"

    def __str__(self) -> str:
        return self.id


class ChangeCounter(models.Model):
    """How many transactions have changed what a verdict depends on: one row, raised by triggers (PostgreSQL)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    identity = models.CharField(max_length=36)
    """Of the database; random."""
    n = models.PositiveBigIntegerField(default=0)
    mark = models.CharField(max_length=36)
    """Of this number; random."""
    raised_by = models.BigIntegerField(default=0)
    """The transaction that raised it last: however many rows it changes, it does so once."""
    raised_at = models.DateTimeField(null=True)

    class Meta:
        """Written by `credentials.triggers`, and by nobody else."""

        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="one_change_counter")]

    def __str__(self) -> str:
        return f"{self.identity}:{self.n}"
