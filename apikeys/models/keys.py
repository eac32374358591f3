"""The keys."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from typing_extensions import override

from accounts.models import User
from apikeys.notice_times import next_expiry_notice
from integrity.sealed import SealedRow
from vault.secret_format import new_id

NAME_LENGTH = 100
REASON_LENGTH = 200
EXPIRES_SOON = timedelta(days=7)
HOURS_PER_DAY = 24


def new_key_id() -> str:
    """Return a fresh public id, `key_…`."""
    return new_id("key")


class Environment(models.TextChoices):
    """What a key is for; part of its secret's prefix."""

    LIVE = "live", "Live"
    TEST = "test", "Test"


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    """Selections of keys."""

    def of(self, owner: User) -> Self:
        """Return the keys of one developer, newest first."""
        return self.filter(owner=owner).order_by("-created_at", "-id")

    def alive(self) -> Self:
        """Return the keys that are neither revoked nor expired."""
        return self.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))

    def in_state(self, state: str) -> Self:
        """Return the keys in this `APIKey.state`; all keys for any other text."""
        now = timezone.now()
        paused = Q(paused_at__isnull=False) & (Q(paused_until=None) | Q(paused_until__gt=now))
        return {
            "active": lambda: self.alive().exclude(paused),
            "paused": lambda: self.alive().filter(paused),
            "expired": lambda: self.filter(revoked_at=None, expires_at__lte=now),
            "revoked": lambda: self.exclude(revoked_at=None),
        }.get(state, lambda: self)()

    def matching(self, text: str) -> Self:
        """Return the keys whose name contains the text, whose id begins with it, or one of whose hints ends with it."""
        text = text.strip()
        if not text:
            return self
        # Correlated, so that only the secrets of these keys are looked at, and not everybody's.
        hinted = self.model._default_manager.filter(pk=OuterRef("pk"), secrets__hint__endswith=text)
        return self.filter(Q(name__icontains=text) | Q(id__istartswith=text) | Exists(hinted))


class APIKey(SealedRow):
    """A key: one public id for its whole life, and one live secret (two during the overlap of a rotation)."""

    id = models.CharField(primary_key=True, max_length=32, default=new_key_id, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=NAME_LENGTH)
    environment = models.CharField(max_length=4, choices=Environment)
    scopes = models.TextField(blank=True, help_text="Names separated by spaces, sorted.")
    networks = models.TextField(blank=True, help_text="Networks separated by spaces; empty allows any.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False, help_text="Raised by every change, not by use.")
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    paused_until = models.DateTimeField(null=True, blank=True, editable=False)
    paused_reason = models.CharField(max_length=REASON_LENGTH, blank=True, editable=False)
    paused_by_operator = models.BooleanField(default=False, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_reason = models.CharField(max_length=REASON_LENGTH, blank=True, editable=False)
    rate_limit = models.CharField(
        max_length=40, blank=True, editable=False, help_text="Such as 100/minute; empty for the portal's default."
    )
    notice_at = models.DateTimeField(null=True, editable=False)
    """When the next notice about its expiry is due; null if none is to come."""
    form_token = models.CharField(max_length=43, null=True, editable=False)  # noqa: DJ001  # null: made by no form

    PURPOSE = "api key"
    SEALED = (
        "id",
        "owner_id",
        "environment",
        "scopes",
        "networks",
        "rate_limit",
        "expires_at",
        "version",
        "paused_at",
        "paused_until",
        "paused_by_operator",
        "revoked_at",
    )

    objects: ClassVar[models.Manager["APIKey"]] = APIKeyQuerySet.as_manager()

    class Meta:
        # The indexes serve the keys page (an owner's keys, newest first), the purge (revoked keys), the rounds that
        # send notices (keys about which one is due), and the metrics (keys that expire soon).
        verbose_name = "API key"
        indexes: ClassVar = [
            models.Index(fields=["owner", "-created_at"], name="keys_of_an_owner"),
            models.Index(fields=["revoked_at"], name="revoked_keys", condition=Q(revoked_at__isnull=False)),
            models.Index(fields=["notice_at"], name="keys_by_notice", condition=Q(notice_at__isnull=False)),
            models.Index(
                fields=["expires_at"], name="keys_by_expiry", condition=Q(expires_at__isnull=False, revoked_at=None)
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "form_token"], name="one_key_a_form"),
            models.CheckConstraint(condition=Q(environment__in=Environment.values), name="key_environment_is_known"),
            models.CheckConstraint(condition=~Q(name=""), name="key_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.id

    @override
    def save(self, *, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        """Write the row, sealed; with another expiry, other notices are due."""
        fields = None if update_fields is None else {*update_fields}
        if fields is None or "expires_at" in fields:
            self.notice_at = self.first_notice(self.expires_at)
            fields = fields and {*fields, "notice_at"}
        super().save(update_fields=fields, **options)

    def first_notice(self, expires_at: datetime | None) -> datetime | None:
        """Return when the first notice about this expiry is due, or was, that is after the key's creation."""
        return next_expiry_notice(expires_at, after=self.created_at)

    @property
    def manages_keys(self) -> bool:
        """Whether it can create and change keys."""
        return "keys:write" in self.scope_list

    @property
    def scope_list(self) -> list[str]:
        """The names of its scopes."""
        return self.scopes.split()

    @property
    def network_list(self) -> list[str]:
        """Its allowed networks; empty if it may be used from anywhere."""
        return self.networks.split()

    @property
    def state(self) -> str:
        """The state that pages show: `revoked`, `expired`, `paused` or `active`."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= timezone.now():
            return "expired"
        return "paused" if self.is_paused else "active"

    @property
    def is_paused(self) -> bool:
        """Whether it is refused for now. A pause that has an end is over without a write."""
        return self.paused_at is not None and (self.paused_until is None or self.paused_until > timezone.now())

    @property
    def has_ended(self) -> bool:
        """Whether it is revoked or expired. Only a later expiry takes an expired key back."""
        return self.state in ("revoked", "expired")

    @property
    def expires_soon(self) -> bool:
        """Whether the key expires within seven days, and half of its time is over; False if it already has expired."""
        if self.expires_at is None:
            return False
        soon = min(EXPIRES_SOON, (self.expires_at - self.created_at) / 2)  # a key of a week is not born with a warning
        return timezone.now() < self.expires_at <= timezone.now() + soon

    @property
    def time_left(self) -> str:
        """The time until the key expires, such as `in 6 days`, or `in 47 hours` in the last two days."""
        hours = int(((self.expires_at or timezone.now()) - timezone.now()) / timedelta(hours=1))
        if hours < 1:
            return "in less than an hour"
        number, unit = (hours, "hour") if hours < 2 * HOURS_PER_DAY else (hours // HOURS_PER_DAY, "day")
        return f"in {number} {unit}{'' if number == 1 else 's'}"
