"""Close an account: its keys and tokens end, personal data is erased, and the audit trail keeps the id."""

from typing import Final

from django.db import transaction

from accounts.errors import LastOperatorError
from accounts.models import User
from accounts.services import erase_user
from apikeys import services as keys
from apikeys.models import APIKey
from audit.origin import Origin
from credentials.usage.models import AddressUsage, SourceAddress
from tokens import services
from tokens.models import TokenFamily

REASON: Final = "the account was closed"
NAMELESS: Final = "key of a closed account"


@transaction.atomic
def close_account(*, user: User, origin: Origin) -> bool:
    """Revoke every key, end every log-in and erase the user's personal data; return False if that was done before.

    Raises `LastOperatorError` for the only account that can operate the portal.
    """
    others = User.objects.select_for_update().filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    if user.is_superuser and not others.exists():
        raise LastOperatorError("This is the only operator's account. Create another operator first.")
    for key in APIKey.objects.filter(owner=user, revoked_at=None):
        keys.revoke(key=key, reason=REASON, origin=origin)
    for family in TokenFamily.objects.filter(user=user, ended_at=None):
        services.end_family(family=family, reason=REASON, origin=origin)
    mine = APIKey.objects.filter(owner=user)
    credentials = [user.pk, *mine.values_list("pk", flat=True)]
    SourceAddress.objects.filter(credential__in=credentials).delete()
    AddressUsage.objects.filter(credential__in=credentials).delete()
    mine.update(name=NAMELESS)
    TokenFamily.objects.filter(user=user).update(address=None, agent="")
    return erase_user(user=user, origin=origin)
