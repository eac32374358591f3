"""Links that undo a change of address, and which of an account's wins: the one for the address that it had earlier.

Whoever takes an account over can change its address again and again, and gets such a link each time. So following one
ends all that are not older, and an older one stays good whatever is done with newer ones. Which is older depends
neither on the clock nor on whether the account was back at an address in between.
"""

from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from accounts.links import GOOD_FOR, UNDO, link_id, write
from accounts.models import MailedLink, User

TICK: Final = timedelta(microseconds=1)


def issue_undo(user: User, email: str) -> str:
    """Make the link that takes an account back to an address that it gives up just now; return its secret text.

    `issued_at` orders them: a new one comes after all others of the account. One for an address that was given up
    before takes the older one's place in that order as well. The caller holds the account's row.
    """
    now = timezone.now()
    good = [link for link in user.mailed_links.filter(purpose=UNDO, expires_at__gt=now) if link.is_intact()]
    earlier = [link.issued_at for link in good if link.email == email]
    place = earlier[0] if earlier else max([now, *(link.issued_at + TICK for link in good)])
    id_ = link_id(UNDO, f"{user.pk} {email}")
    return write(MailedLink(id=id_, purpose=UNDO, user=user, email=email, issued_at=place), good_from=now)


def end_undos(user: User, since: datetime) -> int:
    """End the links of an account that undo a change made then or later; return how many there were."""
    removed, _ = user.mailed_links.filter(purpose=UNDO, issued_at__gte=since).delete()
    return removed


def suspect_since(link: MailedLink) -> datetime:
    """Return from when on a new second factor may be of whoever changed the address, who may have prepared for it."""
    return link.issued_at - GOOD_FOR[UNDO]
