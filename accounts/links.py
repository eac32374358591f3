"""Mailed links: random, stored as keyed digests, bound to a purpose and an address, valid once and for a limited time.

Only the newest link of a kind is valid, because it takes the older one's row. A link is made even for an address
without an account, so that the request costs the same whether an account exists or not.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from accounts.models import MailedLink, User
from integrity.key_check import confirm_rings, index_key_to_write
from integrity.rings import index_ring
from vault.digests import index_digest, index_digests
from vault.secret_format import random_text

CONFIRM: Final = "confirm"
RESET: Final = "reset"
UNLOCK: Final = "unlock"
CHANGE: Final = "change"
UNDO: Final = "undo"
GOOD_FOR: Final[Mapping[str, timedelta]] = {
    CONFIRM: timedelta(days=1),
    RESET: timedelta(hours=1),
    UNLOCK: timedelta(hours=1),
    CHANGE: timedelta(days=1),
    UNDO: timedelta(days=7),
}
TEXT_LENGTH: Final = 43  # 256 bits of [0-9A-Za-z]


def issue(purpose: str, *, user: User | None, email: str, instead_of: str = "") -> str:
    """Make a link and return its secret text, which is stored nowhere. An older link of the kind becomes invalid.

    There is one `CHANGE` link per account, whatever the address, and one link of each other purpose per address. `UNDO`
    links are made by `accounts.undo_links`. With `instead_of`, the link replaces one of that other purpose.
    """
    whose = user.pk if user is not None and purpose == CHANGE else email
    id_ = link_id(instead_of or purpose, whose)
    link = MailedLink(id=id_, purpose=purpose, user=user, email=email, issued_at=timezone.now())
    return write(link, good_from=link.issued_at)


def link_id(purpose: str, whose: str) -> str:
    """Return the id of the row for links of this purpose and owner, which the newest one occupies."""
    return index_digest(index_ring().primary, f"{purpose}\n{whose}").hex()


def write(link: MailedLink, *, good_from: datetime) -> str:
    """Set a link's digest and expiry, seal it, and write it in place of the older one; return its secret text."""
    text = random_text(TEXT_LENGTH)
    link.digest = index_digest(index_key_to_write(), text)
    link.expires_at = good_from + GOOD_FOR[link.purpose]
    link.seal = link.make_seal()
    replaced = ["purpose", "user", "email", "digest", "issued_at", "expires_at", "seal"]
    MailedLink.objects.bulk_create([link], update_conflicts=True, unique_fields=["id"], update_fields=replaced)
    return text


def find(purpose: str, text: str) -> MailedLink | None:
    """Return the valid link with this text, without using it up; None if it has expired, was used or is forged."""
    link = MailedLink.objects.filter(digest__in=index_digests(index_ring(), text)).select_related("user").first()
    if link is None:
        confirm_rings()  # another host may have begun to write with a key that this process lacks
    if link is None or link.purpose != purpose or link.user is None or not link.seal_is_valid():
        return None
    return link if link.expires_at > timezone.now() else None


def pending_change(user: User) -> MailedLink | None:
    """Return the link of the account's pending change of address; None if there is none."""
    link = MailedLink.objects.filter(user=user, purpose=CHANGE, expires_at__gt=timezone.now()).first()
    return link if link is not None and link.seal_is_valid() else None


def spend(link: MailedLink) -> bool:
    """Use a link up. Of concurrent callers, exactly one gets True."""
    removed, _ = MailedLink.objects.filter(pk=link.pk, digest=bytes(link.digest)).delete()
    return bool(removed)


def withdraw(user: User, *purposes: str) -> int:
    """Invalidate an account's links of these purposes; return how many there were."""
    removed, _ = MailedLink.objects.filter(user=user, purpose__in=purposes).delete()
    return removed
