"""Which of the messages that can be switched off a user wants."""

from collections.abc import Collection, Mapping

from accounts.message_kinds import MessageKind
from accounts.models import EmailPreference, User


def is_wanted(user: User | str, kind: MessageKind) -> bool:
    """Return whether a user (or the user with this id) wants messages of this kind. One query."""
    user_id = user.pk if isinstance(user, User) else user
    chosen = EmailPreference.objects.filter(user_id=user_id, kind=kind).values_list("wanted", flat=True).first()
    return kind.default if chosen is None else chosen


def wanted_by(user_ids: Collection[str], kind: MessageKind) -> set[str]:
    """Return the ids of those users who want messages of this kind. One query."""
    chosen = EmailPreference.objects.filter(user_id__in=user_ids, kind=kind).values_list("user_id", "wanted")
    wanted: dict[str, bool] = dict(chosen)
    return {user_id for user_id in user_ids if wanted.get(user_id, kind.default)}


def wanted_kinds(user: User) -> Mapping[MessageKind, bool]:
    """Return for each kind whether the user wants it. One query."""
    chosen = dict(EmailPreference.objects.filter(user=user).values_list("kind", "wanted"))
    return {kind: chosen.get(kind, kind.default) for kind in MessageKind}


def changed_kinds(user: User, wanted: Collection[MessageKind]) -> Mapping[MessageKind, bool]:
    """Return what would change if the user wanted exactly these kinds: for each kind, whether it is switched on."""
    return {kind: kind in wanted for kind, before in wanted_kinds(user).items() if before != (kind in wanted)}
