"""Links that undo a change of address. Of an account's links, the one for the earliest address wins.

An intruder who takes an account over can change its address repeatedly, and gets such a link each time. So following
a link ends all that are not older, and older links stay valid whatever is done with newer ones. Their order depends
neither on the clock nor on whether the account returned to an address in between.
"""

from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from accounts.links import GOOD_FOR, UNDO, link_id, write
from accounts.models import MailedLink, User

TICK: Final = timedelta(microseconds=1)


def issue_undo(user: User, email: str) -> str:
    """Make the link that takes an account back to the address that it is giving up; return its secret text.

    The order is that of `issued_at`, and a new link comes after all others of the account. A link for an address that
    was given up before takes the older link's place in the order. The caller must have locked the account's row.
    """
    now = timezone.now()
    good = [link for link in user.mailed_links.filter(purpose=UNDO, expires_at__gt=now) if link.seal_is_valid()]
    earlier = [link.issued_at for link in good if link.email == email]
    place = earlier[0] if earlier else max([now, *(link.issued_at + TICK for link in good)])
    id_ = link_id(UNDO, f"{user.pk} {email}")
    return write(MailedLink(id=id_, purpose=UNDO, user=user, email=email, issued_at=place), good_from=now)


def end_undos(user: User, since: datetime) -> int:
    """Invalidate the account's links that undo a change made then or later; return how many there were."""
    removed, _ = user.mailed_links.filter(purpose=UNDO, issued_at__gte=since).delete()
    return removed


def suspect_since(link: MailedLink) -> datetime:
    """Return the time since which new second factors may be the intruder's, who may have prepared the change."""
    return link.issued_at - GOOD_FOR[UNDO]
