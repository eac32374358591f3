"""Users, and the links mailed to them."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from typing_extensions import override

from accounts.emails import normalize_email, refuse_colon
from accounts.passwords import normalize_password
from integrity.sealed import SealedRow, swap
from vault.secret_format import new_id


def new_user_id() -> str:
    """Return a fresh public id, `usr_…`. Ids are never reused, so a deleted user's token never fits another user."""
    return new_id("usr")


class UserManager(BaseUserManager["User"]):
    """The manager that creates users, and finds them by their log-in name in any spelling."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Insert a user and return it. Without a password, the only way in is a password reset."""
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db, force_insert=True)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Insert an operator with all rights and return it."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    @override
    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with an e-mail address, in any case and Unicode form. Raises `User.DoesNotExist`."""
        return self.get(email=normalize_email(username or ""))


class User(SealedRow, AbstractBaseUser, PermissionsMixin):
    """A person: a developer who owns keys, or an operator (`is_staff`). The row seal covers what authorises them."""

    id = models.CharField(primary_key=True, max_length=32, default=new_user_id, editable=False)
    email = models.EmailField("e-mail address", unique=True, validators=[refuse_colon])
    is_active = models.BooleanField("active", default=True, help_text="Keys of an inactive account are refused.")
    is_staff = models.BooleanField("operator", default=False, help_text="Can use the admin site.")
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField("e-mail confirmed at", null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)
    auth_epoch = models.PositiveIntegerField(default=0, editable=False)
    session_epoch = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    """Incremented to end all sessions, whatever the session tables hold; `auth_epoch` does so for signed tokens."""
    factors_digest = models.CharField(max_length=64, blank=True, editable=False)
    """The digest of the second factors, whose rows a library keeps (`accounts.library_rows`); empty for none."""
    rights_digest = models.CharField(max_length=64, blank=True, editable=False)
    """The digest of the user's permissions, also by groups (`accounts.library_rows`); empty for none."""

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    PURPOSE = "user"
    SEALED = (
        "id",
        "email",
        "password",
        "is_active",
        "is_staff",
        "is_superuser",
        "confirmed_at",
        "closed_at",
        "auth_epoch",
        "session_epoch",
        "factors_digest",
        "rights_digest",
    )

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        # The database, too, enforces that addresses are lower case.
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case")
        ]

    def __str__(self) -> str:
        return self.email

    @override
    def clean(self) -> None:
        """Normalize the address before the form checks whether it is taken."""
        self.email = normalize_email(self.email)

    @override
    def set_password(self, raw_password: str | None) -> None:
        """Set the hash of the normalized password."""
        super().set_password(None if raw_password is None else normalize_password(raw_password))

    @override
    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the password, in any Unicode form (RFC 7617 §2.1, NIST SP 800-63B-4 §3.1.1.2).

        A hash of an outdated kind is replaced by a current one.
        """

        def upgrade(raw: str) -> None:
            swap(self, {"password": make_password(raw)})

        return check_password(
            None if raw_password is None else normalize_password(raw_password), self.password, upgrade
        )

    @override
    def _get_session_auth_hash(self, secret: str | None = None) -> str:  # type: ignore[misc]  # unknown to the stubs
        """Return the hash that binds a session to this account; a new password or epoch changes it."""
        bound = f"{self.session_epoch} {self.password}"
        return salted_hmac("keyportal.session", bound, secret=secret, algorithm="sha256").hexdigest()

    @property
    def is_confirmed(self) -> bool:
        """Whether the e-mail address is confirmed. Until then, no key or token of the user is accepted."""
        return self.confirmed_at is not None


class MailedLink(SealedRow):
    """A mailed link: its purpose, user and expiry. Only a digest of its text is stored; it works once.

    The id is a keyed digest of the purpose and the owner, so that a newer link replaces an older one.
    """

    id = models.CharField(primary_key=True, max_length=64)
    purpose = models.CharField(max_length=16)
    digest = models.BinaryField(max_length=32, unique=True)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="mailed_links")
    """None if no account has the address. Then no link to this row was mailed, and it opens nothing."""
    email = models.EmailField()
    """The address that the link is about: the one that it confirms or takes back, or else the account's own."""
    issued_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(db_index=True)

    PURPOSE = "mailed link"
    SEALED = ("id", "purpose", "user_id", "email", "digest", "issued_at", "expires_at")

    def __str__(self) -> str:
        return f"{self.purpose} {self.user_id}"
