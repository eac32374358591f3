"""The change counter (PostgreSQL), and the recorded changes (SQLite)."""

from typing import ClassVar

from django.db import models


class ChangeCounter(models.Model):
    """The number of transactions that changed data a verdict depends on: one row, raised by triggers (PostgreSQL)."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    identity = models.CharField(max_length=36)
    """The random identity of the database."""
    n = models.PositiveBigIntegerField(default=0)
    nonce = models.CharField(max_length=36)
    """Random for each value of `n`, so that a number that occurs twice can be detected."""
    raised_by = models.BigIntegerField(default=0)
    """The transaction that raised it last. A transaction raises it once, however many rows it changes."""
    raised_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="one_change_counter")]

    def __str__(self) -> str:
        return f"{self.identity}:{self.n}"


class RecordedChange(models.Model):
    """A change of data that a verdict depends on, recorded by a trigger in the same transaction (SQLite)."""

    n = models.BigAutoField(primary_key=True)
    nonce = models.CharField(max_length=16)
    """Random, so that a number that occurs twice, because a file was restored, can be detected."""
    tag = models.CharField(max_length=64)
    """The record that changed: `key:key_…`, `user:usr_…` or `token:tok_…`; `*` for all of them."""

    def __str__(self) -> str:
        return f"{self.n} {self.tag}"
