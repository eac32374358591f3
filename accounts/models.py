"""Users, the audit trail and its chain, the canaries of the key rings, and the table behind the shared cache."""

from ipaddress import ip_address
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.emails import normalize_email, refuse_colon
from accounts.passwords import normalize_password
from accounts.sealed import SealedRow, canonical_json, canonical_time
from accounts.wording import words_for
from vault.secret_format import new_id


def new_user_id() -> str:
    """Give a fresh public id, `usr_…`. It is never reused, so a token for a deleted user fits nobody else."""
    return new_id("usr")


class UserManager(BaseUserManager["User"]):
    """Makes users and finds them by their log-in name, however it was typed."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Insert a user. Without a password the account can only be entered by a password reset."""
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db, force_insert=True)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Insert an operator with every right."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find a user by e-mail address, in any case and any Unicode form. Raises `User.DoesNotExist`."""
        return self.get(email=normalize_email(username or ""))


class User(AbstractBaseUser, PermissionsMixin):
    """A person: a developer who owns keys, or an operator (`is_staff`)."""

    id = models.CharField(primary_key=True, max_length=32, default=new_user_id, editable=False)
    email = models.EmailField("e-mail address", unique=True, validators=[refuse_colon])
    is_active = models.BooleanField("active", default=True, help_text="An inactive account's keys are refused.")
    is_staff = models.BooleanField("operator", default=False, help_text="May work in the admin site.")
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField("e-mail confirmed at", null=True, blank=True, editable=False)
    auth_epoch = models.PositiveIntegerField(default=0, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        """One spelling of an address; the database holds it too."""

        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case")
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        """Normalize the address before the form looks whether it is taken."""
        self.email = normalize_email(self.email)

    def set_password(self, raw_password: str | None) -> None:
        """Set the hash of the password in its one Unicode form."""
        super().set_password(None if raw_password is None else normalize_password(raw_password))

    def check_password(self, raw_password: str | None) -> bool:
        """Tell whether this is the password, however it was composed (RFC 7617 §2.1, NIST SP 800-63B-4 §3.1.1.2)."""
        return super().check_password(None if raw_password is None else normalize_password(raw_password))

    @property
    def is_confirmed(self) -> bool:
        """Tell whether the e-mail address has been confirmed; until then nothing of this user is accepted."""
        return self.confirmed_at is not None


class AuditEvent(SealedRow):
    """One thing that happened. Only ever inserted: the database refuses all else (`accounts.append_only`).

    Its seal covers all of it, so that one that somebody altered or made up shows (`accounts.trail`).
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
    """From when on it may be removed; null: never."""

    class Meta:
        """Read by subject (a key's timeline) and by actor (a user's history), newest first."""

        indexes: ClassVar = [
            models.Index(fields=["subject_type", "subject_id", "-at"], name="audit_by_subject"),
            models.Index(fields=["actor", "-at"], name="audit_by_actor"),
            models.Index(fields=["keep_until"], name="audit_by_end", condition=models.Q(keep_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject_type}:{self.subject_id}"

    @property
    def words(self) -> str:
        """What a page says of it."""
        return words_for(self.verb, self.subject_type)

    def sealed_fields(self) -> list[str | bytes]:
        """Return all of it, written as the database gives it back. Raises ValueError for an address that is none."""
        addresses = [str(ip_address(address)) if address else "" for address in (self.address, self.peer)]
        subject = [self.subject_type, self.subject_id]
        times = [canonical_time(self.at), canonical_time(self.keep_until)]
        texts = [self.verb, self.actor, *subject, *addresses, self.request_id, canonical_json(self.details), *times]
        return ["audit event", str(self.pk), *texts]


class AuditCheckpoint(SealedRow):
    """A link of the chain over the trail: which events there were, or which of them were removed in their time."""

    # On SQLite it is the row's own number, by which REPLACE could take a row's place as well.
    number = models.BigAutoField(primary_key=True)
    """One after the other, without a gap: given by `accounts.trail`."""
    at = models.DateTimeField(default=timezone.now)
    removed = models.BooleanField(default=False)
    ids = models.TextField()
    """Of the events: `1-5 7 9-12`."""
    reach = models.PositiveBigIntegerField()
    """The highest id that this link or one before it covers."""
    digest = models.BinaryField(max_length=32)
    """Over the seals of the events that there were."""

    before = b""
    """The seal of the link before this one, which holds it; empty for the first."""

    class Meta:
        """Written by `accounts.trail`, and never again."""

    def __str__(self) -> str:
        return f"{self.number}: {self.ids}"

    def sealed_fields(self) -> list[str | bytes]:
        """Return all of it, and the seal of the link before."""
        what = "removed" if self.removed else "covered"
        texts = [str(self.number), what, self.ids, str(self.reach), canonical_time(self.at)]
        return ["audit checkpoint", self.before, *texts, bytes(self.digest)]


class AuditRemoval(models.Model):
    """What was removed from the trail and is told of in no event yet, because the removal goes on, or broke off."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    count = models.PositiveBigIntegerField(default=0)
    earliest = models.DateTimeField(null=True)
    latest = models.DateTimeField(null=True)

    class Meta:
        """One row."""

        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=1), name="one_audit_removal")]

    def __str__(self) -> str:
        return f"{self.count} events"


class RingCanary(models.Model):
    """What each key of a ring looks like from outside: a start with another key under the same id is refused."""

    ring = models.CharField(max_length=16)
    key_id = models.CharField(max_length=16)
    value = models.BinaryField(max_length=32)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """One row a key."""

        constraints: ClassVar = [models.UniqueConstraint(fields=["ring", "key_id"], name="one_canary_a_key")]
        verbose_name_plural = "ring canaries"

    def __str__(self) -> str:
        return f"{self.ring}:{self.key_id}"


class CacheEntry(models.Model):
    """The table of Django's database cache, in a migration instead of `createcachetable`.

    Log-in limits live in it, because every worker of every machine shares the database and no other service is needed.
    """

    cache_key = models.CharField(primary_key=True, max_length=255)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        """The name that settings.CACHES gives."""

        db_table = "accounts_cache"
        verbose_name_plural = "cache entries"

    def __str__(self) -> str:
        return self.cache_key
