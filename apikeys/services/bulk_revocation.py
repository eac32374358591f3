"""End many keys: in batches, each a transaction of its own, so that nothing waits long and nothing done is lost."""

import logging
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from django.db import connection, transaction
from django.db.models import BinaryField, Case, IntegerField, Q, Value, When
from django.utils import timezone

from accounts.models import User
from accounts.services import sign_out_everywhere
from apikeys import emails
from apikeys.models import APIKey, IdempotentAnswer, KeySecret
from apikeys.selection import KeySelection
from apikeys.services.changing import next_version
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event, record_events
from integrity.hostile_rows import UNREADABLE, read_row
from integrity.sealed import TamperedRowError, confirm_rows
from vault.secret_format import new_id

logger = logging.getLogger(__name__)

BATCH: Final = 250
"""Keys in one transaction, which holds their locks. It is more than an owner has by default, so owners stay whole."""
PAUSE: Final = 0.1
"""Seconds between two transactions on SQLite, whose other writers try this often to get the one lock that there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkRevocation:
    """What is done to many keys."""

    selection: KeySelection
    reason: str
    notifies: bool = True
    """Whether each owner gets one message that lists their keys."""
    signs_out: bool = False
    """Whether the owners' sessions and signed tokens end first."""
    origin: Origin

    def run(self) -> Generator[int]:
        """Revoke batch after batch; yield after each how many were revoked in it.

        Whenever it ends, also by an exception or because the caller goes no further, the trail gets one event with the
        filters and the count. What was revoked stays so; running it again goes on with the rest. Raises
        `django.db.Error`, `integrity.sealed.UndoneChangeError`.
        """
        name, done, is_complete = new_id("run"), 0, False
        try:
            if self.signs_out:
                yield from self._sign_out()
            for keys in _batches(self.selection):
                revoked = revoke_batch(
                    keys=keys, reason=self.reason, notifies=self.notifies, run=name, origin=self.origin
                )
                done += revoked
                yield revoked
            is_complete = True
        finally:
            about = {"filters": self.selection.words(), "reason": self.reason, "signed_out": self.signs_out}
            outcome = {"revoked": done, "complete": is_complete, "run": name}
            record_event(
                EventType.KEYS_REVOKED_IN_BULK, subject=f"portal:{name}", origin=self.origin, **about, **outcome
            )

    def _sign_out(self) -> Iterator[int]:
        """End the log-ins of the owners. An account that was changed outside the portal is refused anyway.

        It comes first: while keys are left, running it again finds all owners.
        """
        owners = self.selection.keys().order_by("owner").values_list("owner", flat=True).distinct()
        chosen = [self.selection.owner.pk] if self.selection.owner else list(owners)
        for number in range(0, len(chosen), BATCH):
            with transaction.atomic():
                for user in User.objects.filter(pk__in=chosen[number : number + BATCH]):
                    try:
                        sign_out_everywhere(user=user, origin=self.origin)
                    except TamperedRowError as error:
                        logger.error("integrity_violation: %s", error)  # noqa: TRY400  # no fault of the code
            yield 0
            _let_others_write()


@transaction.atomic
def revoke_batch(*, keys: Collection[str], reason: str, notifies: bool, run: str, origin: Origin) -> int:
    """End these keys for good and destroy their ciphertexts; return how many were not revoked before.

    It does to each what `revoke` does, with few statements for all of them. The rows are locked when they are read, so
    a key that someone else revokes meanwhile is revoked and reported once. A row that can't be read is left out: it is
    refused in any case. Raises `integrity.sealed.UndoneChangeError`.
    """
    rows = _lock(keys)
    if not rows:
        return 0
    now, ids = timezone.now(), [key.pk for key in rows]
    for key in rows:
        key.revoked_at, key.revoked_reason, key.version = now, reason, next_version(key)
        key.seal = key.make_seal()
    seal = Case(*(When(pk=key.pk, then=Value(key.seal)) for key in rows), output_field=BinaryField())
    version = Case(*(When(pk=key.pk, then=Value(key.version)) for key in rows), output_field=IntegerField())
    APIKey.objects.filter(pk__in=ids, revoked_at=None).update(
        revoked_at=now, revoked_reason=reason, notice_at=None, seal=seal, version=version
    )
    confirm_rows(APIKey.objects.filter(pk__in=ids, revoked_at=None), exist=False)
    IdempotentAnswer.objects.filter(key__in=ids, holds_secret=True).update(content=None)
    stored = KeySecret.objects.filter(key__in=ids, ciphertext__isnull=False)
    stored.update(ciphertext=None)
    confirm_rows(stored, exist=False)
    record_events(EventType.KEY_REVOKED, subjects=[f"key:{pk}" for pk in ids], origin=origin, reason=reason, run=run)
    if notifies:
        for _, of_owner in groupby(rows, key=lambda key: key.owner_id):
            emails.send_keys_revoked(list(of_owner), origin)
    return len(rows)


def _batches(selection: KeySelection) -> Iterator[Sequence[str]]:
    """Yield the ids of the keys, owner by owner, as many of them as fit into a batch."""
    after = Q()
    while True:
        found = list(selection.keys().filter(after).order_by("owner_id", "pk").values_list("owner_id", "pk")[:BATCH])
        if not found:
            return
        last_owner = found[-1][0]
        if len(found) == BATCH and found[0][0] != last_owner:  # the rest of an owner's keys comes with the next batch
            found = [row for row in found if row[0] != last_owner]
        yield [pk for _, pk in found]
        owner, key = found[-1]
        # The first condition says what the others imply, so that databases begin in the index and read no row twice.
        after = Q(owner_id__gte=owner) & (Q(owner_id__gt=owner) | Q(pk__gt=key))
        _let_others_write()


def _lock(keys: Collection[str]) -> list[APIKey]:
    """Lock the rows that are not revoked and return them, with their owners, in the order of their owners.

    On SQLite the transaction is IMMEDIATE and already alone.
    """
    chosen = APIKey.objects.filter(pk__in=keys, revoked_at=None).order_by("owner_id", "pk")
    ids = list(chosen.select_for_update(no_key=True).values_list("pk", flat=True))
    locked = APIKey.objects.filter(pk__in=ids, revoked_at=None).order_by("owner_id", "pk")
    try:
        return list(locked.select_related("owner"))
    except UNREADABLE:
        rows = {pk: read_row(APIKey, pk) for pk in ids}
    unreadable = [pk for pk, row in rows.items() if row is None]
    logger.error("integrity_violation: not revoked, because their rows can't be read: %s", ", ".join(unreadable))
    return [row for row in rows.values() if row is not None]


def _let_others_write() -> None:
    if connection.vendor == "sqlite":
        time.sleep(PAUSE)
