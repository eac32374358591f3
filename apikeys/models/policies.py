"""What operators allow for the keys of an environment."""

from datetime import datetime, timedelta
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apikeys.models.keys import Environment
from integrity.sealed import SealedRow

MAX_DAYS = 36_500
MAX_KEYS = 1_000_000
_DAYS = (MinValueValidator(1), MaxValueValidator(MAX_DAYS))


def _is_between(column: str, most: int) -> Q:
    return Q(**{column: None}) | Q(**{f"{column}__gte": 1, f"{column}__lte": most})


class KeyPolicy(SealedRow):
    """The policy for the keys of one environment. Without a row, nothing is bounded beyond the portal's settings."""

    environment = models.CharField(primary_key=True, max_length=4, choices=Environment)
    max_days = models.PositiveIntegerField(
        "maximum lifetime in days",
        null=True,
        blank=True,
        validators=_DAYS,
        help_text="How far ahead an expiry may be set. Leave empty for no limit.",
    )
    allows_never = models.BooleanField(
        "allow keys that never expire", default=True, help_text="If not, every new key needs an expiry."
    )
    default_days = models.PositiveIntegerField(
        "default expiry in days",
        null=True,
        blank=True,
        validators=_DAYS,
        help_text="For a key whose expiry isn't chosen. Leave empty for never.",
    )
    allows_reveal = models.BooleanField(
        "allow secrets to be revealed",
        default=True,
        help_text="If not, a new secret is shown once and not stored, and no stored one can be revealed.",
    )
    max_keys = models.PositiveIntegerField(
        "maximum keys per developer",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_KEYS)],
        help_text="In this environment, not counting revoked ones. Leave empty for the portal's limit alone.",
    )

    PURPOSE = "key policy"
    SEALED = ("environment", "max_days", "allows_never", "default_days", "allows_reveal", "max_keys")

    class Meta:
        # The rules that the operators' form explains, for a row that is written by hand.
        verbose_name_plural = "key policies"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(environment__in=Environment.values), name="policy_environment_is_known"),
            models.CheckConstraint(
                condition=_is_between("max_days", MAX_DAYS)
                & _is_between("default_days", MAX_DAYS)
                & _is_between("max_keys", MAX_KEYS),
                name="policy_numbers_are_bounded",
            ),
            models.CheckConstraint(
                condition=Q(allows_never=True) | Q(default_days__isnull=False), name="policy_has_a_default"
            ),
            models.CheckConstraint(
                condition=Q(max_days=None) | Q(default_days=None) | Q(default_days__lte=F("max_days")),
                name="policy_default_is_within_bounds",
            ),
        ]

    def __str__(self) -> str:
        return self.environment

    @property
    def default_expiry(self) -> datetime | None:
        """The expiry of a key that is created now, if its creator chooses none; None for never."""
        return None if self.default_days is None else timezone.now() + timedelta(days=self.default_days)

    @property
    def latest_expiry(self) -> datetime | None:
        """The latest expiry that can be set now; None if there is no bound."""
        return None if self.max_days is None else timezone.now() + timedelta(days=self.max_days)
