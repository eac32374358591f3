"""The authentication backend, which lets in accounts with a valid row seal only, and only by their own address."""

import logging

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from typing_extensions import override

from accounts.emails import normalize_email
from accounts.library_rows import FACTORS, RIGHTS, digest_matches
from accounts.models import User

logger = logging.getLogger(__name__)


class SealedBackend(AuthenticationBackend):  # type: ignore[misc]  # untyped
    """django-allauth's backend with `User.email` as the only log-in name: its own table holds unproved addresses."""

    @override
    def user_can_authenticate(self, user: AbstractBaseUser | None) -> bool:
        """Return whether the account is active and its row seal valid. Called at log-in and at every request."""
        if not isinstance(user, User) or not super().user_can_authenticate(user):
            return False
        if user.seal_is_valid():
            return True
        logger.error("integrity_violation: the row seal of %s does not match", user.pk)
        return False

    @override
    def _authenticate_by_email(self, email: str, password: str) -> AbstractBaseUser | None:
        user = User.objects.filter(email=normalize_email(email)).first()
        known: AbstractBaseUser | None = self._check_password(user, password)
        return known

    @override
    def _get_user_permissions(self, user_obj: User) -> QuerySet[Permission]:
        return (
            super()._get_user_permissions(user_obj) if digest_matches(user_obj, RIGHTS) else Permission.objects.none()
        )

    @override
    def _get_group_permissions(self, user_obj: User) -> QuerySet[Permission]:
        return (
            super()._get_group_permissions(user_obj) if digest_matches(user_obj, RIGHTS) else Permission.objects.none()
        )


def has_valid_seals(user: User) -> bool:
    """Return whether the account's row and second factors are as the portal wrote them. Called at each log-in."""
    return user.seal_is_valid() and digest_matches(user, FACTORS)
