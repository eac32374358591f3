"""Usage counts and source addresses."""

from typing import ClassVar

from django.db import models


class Usage(models.Model):
    """The number of calls with one secret of a credential in one hour, at one entry point, with one outcome."""

    credential = models.CharField(max_length=32)
    """The key's id, also for tokens issued for it; the user's id for tokens of a log-in."""
    secret = models.CharField(max_length=32, blank=True)
    """The id of the key's secret, for calls with it that were accepted."""
    hour = models.DateTimeField(db_index=True)
    entry_point = models.CharField(max_length=16)
    outcome = models.CharField(max_length=24)
    """`accepted`, or the code of the refusal."""
    count = models.PositiveBigIntegerField()

    class Meta:
        verbose_name_plural = "usage"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["credential", "secret", "hour", "entry_point", "outcome"], name="usage_counted_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.entry_point} {self.outcome}"


class SourceAddress(models.Model):
    """An address from which a credential was used successfully, first and last; the newest addresses are kept."""

    credential = models.CharField(max_length=32)
    secret = models.CharField(max_length=32, blank=True)
    """The id of the key's secret that was sent, or exchanged for the token that was; empty for a log-in's token."""
    address = models.CharField(max_length=45, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "source addresses"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "secret", "address"], name="one_source_address"),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.address}"


class AddressUsage(models.Model):
    """The number of accepted calls of a credential on one day from one address, kept for a month."""

    credential = models.CharField(max_length=32)
    day = models.DateField(db_index=True)
    """A day of UTC."""
    address = models.CharField(max_length=45, blank=True)
    """Empty for calls whose address is unknown, and for those of all addresses beyond the ones that are told apart."""
    count = models.PositiveBigIntegerField()

    class Meta:
        verbose_name_plural = "address usage"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["credential", "day", "address"], name="address_counted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.address}"


class UsageBatch(models.Model):
    """A batch of counts that was added to the tables above, so that the same batch is never counted twice."""

    id = models.CharField(primary_key=True, max_length=32)
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        # Kept for 26 hours (`expired_rows`); no batch is taken for so long.
        verbose_name_plural = "usage batches"

    def __str__(self) -> str:
        return self.id
