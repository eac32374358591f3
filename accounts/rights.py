"""The rule that an operator can't act on an account with more rights than their own."""

from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Q

from accounts.models import User


class ActionRefusedError(PermissionDenied):
    """An operator tried a forbidden action. The 403 response records action and model, but no value."""

    def __init__(self, action: str, model: str, *, subject: str = "") -> None:
        super().__init__()
        self.action = action
        self.model = model
        self.subject = subject
        """The subject in whose history it is recorded, `user:…` or `key:…`; empty for the operator's own."""


def may_act_on(operator: User, account: User | None) -> bool:
    """Return whether the operator has all rights of the account, and so may act on it and what belongs to it.

    None stands for no account, on which every operator may act. Rights count even while the account is switched off, so
    that a lesser operator can't reactivate a greater one.
    """
    if account is None or operator.is_superuser:
        return True
    if account.is_superuser:
        return False
    return not account.is_staff or rights_of(account) <= operator.get_all_permissions()


def rights_of(account: User) -> set[str]:
    """Return an account's permissions, its groups' included, as `app.codename`, even if the account is switched off."""
    granted = Permission.objects.filter(Q(user=account) | Q(group__user=account))
    return {f"{app}.{name}" for app, name in granted.values_list("content_type__app_label", "codename")}
