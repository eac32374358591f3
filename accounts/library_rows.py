"""Seal rows that libraries keep and that give access: second factors, permissions and groups of a user.

The user's row holds a digest of each set, and the row's seal covers the digests. So a second factor that was deleted in
the database, copied from another account or marked unused again, or a permission that was added there, does not match.
Legitimate changes go through the libraries' own models, and all of them pass these models' signals: the set is compared
before a change and sealed again after it, but only if it matched.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Collection
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
from django.db.models import Model, Q
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from accounts.models import User
from integrity.sealed import canonical, swap, until_unchanged

logger = logging.getLogger(__name__)

FACTORS: Final = "factors_digest"
RIGHTS: Final = "rights_digest"
_MATCHED: Final = "_users_whose_sets_matched"
"""The attribute that holds, between the two signals of a change, the ids of users whose sets matched."""


def factors_digest(user_id: str) -> str:
    """Return the digest of an account's second factors, with their data and creation times; empty for none.

    The times are covered because taking an account back removes the newer factors.
    """
    rows = Authenticator.objects.filter(user_id=user_id).order_by("pk").values_list("pk", "type", "data", "created_at")
    return _digest([[pk, kind, data, canonical(since)] for pk, kind, data, since in rows])


def rights_digest(user_id: str) -> str:
    """Return the digest of an account's permissions, its groups' included; empty for none.

    It covers their names, because another permission under the same number would be another right.
    """
    granted = Permission.objects.filter(Q(user=user_id) | Q(group__user=user_id))
    names = granted.values_list("content_type__app_label", "content_type__model", "codename")
    return _digest(sorted({".".join(name) for name in names}))


def digest_matches(user: User, column: str) -> bool:
    """Return whether a set is the one that was sealed. A mismatch is logged."""
    if getattr(user, column) == _DIGESTS[column](user.pk):
        return True
    logger.error("integrity_violation: the %s of %s does not match", column, user.pk)
    return False


def seal_anew(user_id: str, column: str) -> User:
    """Seal a set as it is now; return the account. Raises `integrity.sealed.TamperedRowError`, `User.DoesNotExist`.

    Call it only after checking that the set is what it should be.
    """
    for current in until_unchanged(User, user_id):
        if swap(current, {column: _DIGESTS[column](user_id)}):
            break
    return current


def connect_signals() -> None:
    """Connect the signal handlers, once, when the applications are ready."""
    for before in (pre_save, pre_delete):
        before.connect(_before_factor, sender=Authenticator, dispatch_uid="keyportal factors")
    for after in (post_save, post_delete):
        after.connect(_after_factor, sender=Authenticator, dispatch_uid="keyportal factors")
    for through in (User.user_permissions.through, User.groups.through, Group.permissions.through):
        m2m_changed.connect(_around_rights, sender=through, dispatch_uid="keyportal rights")


_DIGESTS: Final[dict[str, Callable[[str], str]]] = {FACTORS: factors_digest, RIGHTS: rights_digest}


def _digest(rows: list[Any]) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest() if rows else ""


def _before_factor(sender: type[Model], instance: Authenticator, **signal: Any) -> None:
    _keep_matching(instance, {instance.user_id}, FACTORS)


def _after_factor(sender: type[Model], instance: Authenticator, **signal: Any) -> None:
    _seal_matching(instance, FACTORS)


def _around_rights(
    sender: type[Model], instance: Model, action: str, model: type[Model], pk_set: set[Any] | None, **signal: Any
) -> None:
    if action.startswith("pre_"):
        _keep_matching(instance, _affected_users(instance, model, pk_set), RIGHTS)
    else:
        _seal_matching(instance, RIGHTS)


def _affected_users(instance: Model, model: type[Model], pk_set: set[Any] | None) -> Collection[str]:
    """Return the ids of the users whose rights change, from whichever end of the relation the change is made."""
    if isinstance(instance, User):
        return {instance.pk}
    if model is User:
        return pk_set if pk_set is not None else set(instance.user_set.values_list("pk", flat=True))  # type: ignore[attr-defined]
    groups = {instance.pk} if isinstance(instance, Group) else pk_set
    if groups is None:
        groups = set(instance.group_set.values_list("pk", flat=True))  # type: ignore[attr-defined]
    return set(User.objects.filter(groups__in=groups).values_list("pk", flat=True))


def _keep_matching(instance: Model, user_ids: Collection[str], column: str) -> None:
    matched = {user.pk for user in User.objects.filter(pk__in=user_ids) if digest_matches(user, column)}
    vars(instance)[_MATCHED] = matched


def _seal_matching(instance: Model, column: str) -> None:
    """Seal the sets that matched before the change. Other sets stay as they are, and their accounts refused."""
    matched: set[str] = vars(instance).pop(_MATCHED, set())
    for user_id in User.objects.filter(pk__in=matched).values_list("pk", flat=True):  # one may just have been deleted
        sealed = seal_anew(user_id, column)
        if isinstance(instance, User) and instance.pk == user_id:
            vars(instance).update({column: getattr(sealed, column), "seal": sealed.seal})
