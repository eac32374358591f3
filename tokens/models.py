"""Models of log-ins by password, refresh tokens, revoked tokens, audiences, and the last purge."""

from datetime import timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import User
from integrity.rings import index_ring
from integrity.sealed import SealedRow
from vault.claims import MAX_TEXT
from vault.digests import index_digests
from vault.secret_format import new_id


def new_family_id() -> str:
    """Return a fresh public id, `fam_…`."""
    return new_id("fam")


def new_audience_id() -> str:
    """Return a fresh row id, `aud_…`."""
    return new_id("aud")


def new_refresh_id() -> str:
    """Return a fresh row id, `ref_…`."""
    return new_id("ref")


class TokenFamilyQuerySet(models.QuerySet["TokenFamily"]):
    """Selections of families."""

    def alive(self) -> Self:
        """Return the families that can still be refreshed."""
        now = timezone.now()
        idle = timedelta(seconds=settings.KEYPORTAL_REFRESH_IDLE)
        return self.filter(
            ended_at=None, expires_at__gt=now, refreshed_at__gt=now - idle, epoch=models.F("user__auth_epoch")
        )

    def of(self, user: User) -> Self:
        """Return the families of one user, the most recently used first."""
        return self.filter(user=user).order_by("-refreshed_at")


class TokenFamily(SealedRow):
    """One log-in by password at the auth endpoint, with all the tokens issued from it: a “signed-in app”."""

    id = models.CharField(primary_key=True, max_length=32, default=new_family_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="token_families")
    scopes = models.TextField(blank=True, help_text="Names separated by spaces, sorted.")
    audience = models.CharField(max_length=MAX_TEXT, blank=True, help_text="Empty for KEYPORTAL_AUDIENCE.")
    epoch = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    refreshed_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.CharField(max_length=200, blank=True)
    address = models.GenericIPAddressField("client address", null=True)
    agent = models.CharField("user agent", max_length=200, blank=True)

    PURPOSE = "token family"
    SEALED = ("id", "user_id", "scopes", "epoch", "audience", "started_at", "expires_at", "ended_at")

    objects: ClassVar[models.Manager["TokenFamily"]] = TokenFamilyQuerySet.as_manager()

    class Meta:
        # The indexes serve the list of a user's apps and the purge.
        verbose_name_plural = "token families"
        indexes: ClassVar = [
            models.Index(fields=["user", "-refreshed_at"], name="families_of_a_user"),
            models.Index(fields=["expires_at"], name="families_by_expiry"),
        ]

    def __str__(self) -> str:
        return self.id


class RefreshTokenQuerySet(models.QuerySet["RefreshToken"]):
    """Selections of refresh tokens."""

    def with_secret(self, secret: str) -> Self:
        """Return the row of this token, looked up by its digest under each key of the index ring."""
        return self.filter(digest__in=index_digests(index_ring(), secret))


class RefreshToken(SealedRow):
    """A random token that can be exchanged once for the next pair. Only its digest is stored."""

    id = models.CharField(primary_key=True, max_length=32, default=new_refresh_id, editable=False)
    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="tokens")
    digest = models.BinaryField(max_length=32, unique=True)
    index_key_id = models.CharField(max_length=16)
    issued_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.CharField(max_length=32, blank=True)

    PURPOSE = "refresh token"
    SEALED = ("id", "family_id", "index_key_id", "digest", "expires_at", "used_at", "replaced_by")

    objects: ClassVar[models.Manager["RefreshToken"]] = RefreshTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return self.id


class RevokedToken(models.Model):
    """A revoked access token, or all tokens of a family. Identified by issuer and id, never by the token itself."""

    issuer = models.CharField(max_length=200)
    token_id = models.CharField("jti or sid", max_length=64)
    revoked_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True, help_text="When the last token that it names expires.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["issuer", "token_id"], name="revoked_once")]

    def __str__(self) -> str:
        return self.token_id


class Audience(SealedRow):
    """A service for which clients can request tokens, besides `KEYPORTAL_AUDIENCE`.

    The URI never changes, because tokens and log-ins name it. The row seal covers it: no token is issued for an
    audience that was not written by the portal.
    """

    id = models.CharField(primary_key=True, max_length=32, default=new_audience_id, editable=False)
    uri = models.CharField(
        "URI",
        max_length=MAX_TEXT,
        unique=True,
        help_text="The name that the service uses. Clients send it as “resource”, and every character counts: "
        "https://reports.example.com/ with a slash at the end is a different one.",
    )
    description = models.CharField(max_length=200, help_text="Which service this is, as operators read it.")
    created_at = models.DateTimeField(auto_now_add=True)

    PURPOSE = "audience"
    SEALED = ("id", "uri")

    class Meta:
        ordering: ClassVar = ["uri"]

    def __str__(self) -> str:
        return self.uri
