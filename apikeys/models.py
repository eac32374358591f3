"""Keys and their secrets."""

from datetime import timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from accounts.rings import index_ring
from accounts.sealed import SealedRow
from vault.digests import index_digests
from vault.secret_format import new_id

NAME_LENGTH = 100
SOON = timedelta(days=7)
DAY = 24  # hours


def new_key_id() -> str:
    """Give a fresh public id, `key_…`."""
    return new_id("key")


def new_secret_id() -> str:
    """Give a fresh row id, `sec_…`; it exists before the row, because the ciphertext is bound to it."""
    return new_id("sec")


class Environment(models.TextChoices):
    """What a key is for; part of its secret's prefix."""

    LIVE = "live", "Live"
    TEST = "test", "Test"


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    """Selections of keys."""

    def of(self, owner: User) -> Self:
        """Those of one developer, newest first."""
        return self.filter(owner=owner).order_by("-created_at", "-id")

    def alive(self) -> Self:
        """Those that are neither revoked nor expired."""
        return self.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))

    def in_state(self, state: str) -> Self:
        """Those in a state of `APIKey.state`; all for anything else."""
        now = timezone.now()
        return {
            "active": lambda: self.alive().filter(paused_at=None),
            "paused": lambda: self.alive().exclude(paused_at=None),
            "expired": lambda: self.filter(revoked_at=None, expires_at__lte=now),
            "revoked": lambda: self.exclude(revoked_at=None),
        }.get(state, lambda: self)()

    def matching(self, text: str) -> Self:
        """Those whose name contains the text, or whose id or hint it is the beginning or end of."""
        text = text.strip()
        if not text:
            return self
        hinted = KeySecret.objects.filter(hint__endswith=text).values("key")
        return self.filter(Q(name__icontains=text) | Q(id__istartswith=text) | Q(id__in=hinted))


class APIKey(SealedRow):
    """A key: one public id for its whole life, one live secret (two while it is being rotated)."""

    id = models.CharField(primary_key=True, max_length=32, default=new_key_id, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=NAME_LENGTH)
    environment = models.CharField(max_length=4, choices=Environment)
    scopes = models.TextField(blank=True, help_text="Names separated by spaces, sorted.")
    networks = models.TextField(blank=True, help_text="Networks separated by spaces; empty allows any.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_reason = models.CharField(max_length=200, blank=True, editable=False)
    rate_limit = models.CharField(
        max_length=40, blank=True, editable=False, help_text="Such as 100/minute; empty for the portal's default."
    )
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
        "paused_at",
        "revoked_at",
    )

    objects: ClassVar[models.Manager["APIKey"]] = APIKeyQuerySet.as_manager()

    class Meta:
        """The list of an owner, newest first, is the query of the keys page; the revoked ones that of the purge."""

        verbose_name = "API key"
        indexes: ClassVar = [
            models.Index(fields=["owner", "-created_at"], name="keys_of_an_owner"),
            models.Index(fields=["revoked_at"], name="revoked_keys", condition=Q(revoked_at__isnull=False)),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "form_token"], name="one_key_a_form"),
            models.CheckConstraint(condition=Q(environment__in=Environment.values), name="key_environment_is_known"),
            models.CheckConstraint(condition=~Q(name=""), name="key_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def scope_list(self) -> list[str]:
        """The names of its scopes."""
        return self.scopes.split()

    @property
    def network_list(self) -> list[str]:
        """Its allowed networks; empty if any is allowed."""
        return self.networks.split()

    @property
    def state(self) -> str:
        """What a page says of it: `revoked`, `expired`, `paused` or `active`."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= timezone.now():
            return "expired"
        return "paused" if self.paused_at else "active"

    @property
    def expires_soon(self) -> bool:
        """Tell whether it ends within a week; not for one that has ended."""
        if self.expires_at is None:
            return False
        return timezone.now() < self.expires_at <= timezone.now() + SOON

    @property
    def can_be_revealed(self) -> bool:
        """Tell whether one of its secrets can be shown again."""
        return any(secret.can_be_revealed for secret in self.secrets.all())

    @property
    def time_left(self) -> str:
        """Give what is left until it expires: `in 6 days`, in the last two days `in 47 hours`."""
        hours = int(((self.expires_at or timezone.now()) - timezone.now()) / timedelta(hours=1))
        if hours < 1:
            return "in less than an hour"
        number, unit = (hours, "hour") if hours < 2 * DAY else (hours // DAY, "day")
        return f"in {number} {unit}{'' if number == 1 else 's'}"


class KeySecretQuerySet(models.QuerySet["KeySecret"]):
    """Selections of secrets."""

    def holding(self, secret: str) -> Self:
        """Select the row of this secret, found by its digest under each key of the index ring."""
        return self.filter(digest__in=index_digests(index_ring(), secret))


class KeySecret(SealedRow):
    """One secret of a key: its digest to be found by, its ciphertext to be shown again."""

    id = models.CharField(primary_key=True, max_length=32, default=new_secret_id, editable=False)
    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, related_name="secrets")
    digest = models.BinaryField(max_length=32, unique=True)
    index_key_id = models.CharField(max_length=16)
    ciphertext = models.BinaryField(null=True)
    hint = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retires_at = models.DateTimeField(null=True, blank=True)

    PURPOSE = "key secret"
    SEALED = ("id", "key_id", "index_key_id", "digest", "retires_at")

    objects: ClassVar[models.Manager["KeySecret"]] = KeySecretQuerySet.as_manager()

    class Meta:
        """Newest first: the one in use stands on top."""

        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.hint

    @property
    def can_be_revealed(self) -> bool:
        """Tell whether there is anything left to show: not for a show-once secret, not after revocation."""
        return self.ciphertext is not None

    def sealing_context(self, key: APIKey) -> list[str]:
        """Give the associated data of the ciphertext: it opens in this row, for this key and owner, nowhere else."""
        return ["key secret", self.id, key.id, key.owner_id, key.environment]
