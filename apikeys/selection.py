"""Which of all keys an operator means: a combination of filters, each of which a key has to fit."""

from dataclasses import dataclass, fields
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import User
from accounts.times import rfc3339
from apikeys.models import APIKey, KeySecret
from apikeys.models.keys import APIKeyQuerySet
from credentials.usage.models import SourceAddress
from vault.digests import stamp
from vault.sealing import VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySelection:
    """The keys that are not revoked yet and fit all given filters. Expired ones count: owners can prolong them."""

    owner: User | None = None
    environment: str = ""
    created_before: datetime | None = None
    created_after: datetime | None = None
    used_after: datetime | None = None
    """Accepted at or after this time."""
    unused_since: datetime | None = None
    """Made before this time, and not accepted since."""
    index_key: str = ""
    """The id of the index key by which one of its live secrets is found."""
    sealing_key: str = ""
    """The id of the sealing key under which one of its live secrets is stored."""

    def keys(self) -> APIKeyQuerySet:
        """Return the keys as they are now."""
        found = APIKeyQuerySet(APIKey).filter(revoked_at=None)
        for wanted in self._conditions():
            found = found.filter(wanted)
        return found

    def words(self) -> dict[str, str]:
        """Return the filters by name, as the trail keeps them; empty for every key."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name)}
        return {name: _in_words(value) for name, value in given.items()}

    def _conditions(self) -> list[Q]:
        wanted: list[Q] = []
        if self.owner:
            wanted.append(Q(owner=self.owner))
        if self.environment:
            wanted.append(Q(environment=self.environment))
        if self.created_before:
            wanted.append(Q(created_at__lt=self.created_before))
        if self.created_after:
            wanted.append(Q(created_at__gte=self.created_after))
        if self.used_after:
            wanted.append(Q(_used_since(self.used_after)))
        if self.unused_since:
            wanted += [Q(created_at__lt=self.unused_since), ~Q(_used_since(self.unused_since))]
        if self.index_key:
            found_by = KeySecret.objects.live().filter(key=OuterRef("pk"), index_key_id=self.index_key)
            wanted.append(Q(Exists(found_by)))
        if self.sealing_key:
            wanted.append(Q(Exists(_sealed_under(self.sealing_key).filter(key=OuterRef("pk")))))
        return wanted


def _used_since(at: datetime) -> Exists:
    return Exists(SourceAddress.objects.filter(credential=OuterRef("pk"), last_at__gte=at))


def _sealed_under(key_id: str) -> QuerySet[KeySecret]:
    """Return the live secrets whose ciphertext begins with this sealing key's id."""
    head = stamp(VERSION, key_id)
    beyond = head[:-1] + bytes((head[-1] + 1,))
    return KeySecret.objects.live().filter(ciphertext__gte=head, ciphertext__lt=beyond)


def _in_words(value: object) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value.pk if isinstance(value, User) else value)
