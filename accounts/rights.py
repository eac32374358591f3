"""Who may act on whom: nobody on an account that has more rights than they have."""

from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Q

from accounts.models import User


class ActionRefusedError(PermissionDenied):
    """An operator tried what they may not do. The answer 403 puts it on the record: action and model, no value."""

    def __init__(self, action: str, model: str, *, subject: str = "") -> None:
        super().__init__()
        self.action = action
        self.model = model
        self.subject = subject
        """Whose history it belongs to, `user:…` or `key:…`; empty for the operator's own."""


def may_act_on(operator: User, account: User | None) -> bool:
    """Tell whether an operator has every right that an account has, so that they may end what is its. None is nobody's.

    Rights count whether or not the account is switched on: a lesser operator does not bring a greater one back either.
    """
    if account is None or operator.is_superuser:
        return True
    if account.is_superuser:
        return False
    return not account.is_staff or rights_of(account) <= operator.get_all_permissions()


def rights_of(account: User) -> set[str]:
    """Return the permissions of an account, its groups' included, as `app.codename`; also those that sleep with it."""
    granted = Permission.objects.filter(Q(user=account) | Q(group__user=account))
    return {f"{app}.{name}" for app, name in granted.values_list("content_type__app_label", "codename")}
