"""Which keys of the sealing and index rings the rows of the database name, so that a retired one can be dropped."""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db.models import Model

from accounts.models import PendingMessage
from apikeys.models import IdempotentAnswer, KeySecret
from integrity.models import KeyCheck
from integrity.rings import index_ring, sealing_ring
from integrity.sealed import SealedRow
from tokens.models import RefreshToken
from vault.digests import VERSION, read_stamp, stamp
from vault.rings import KeyRing

SEALED_VALUES: Final[tuple[tuple[type[Model], str], ...]] = (
    (KeySecret, "ciphertext"),
    (IdempotentAnswer, "content"),
    (PendingMessage, "content"),
)
"""Columns, beside the seals of rows, whose values are stamped with a key of the sealing ring."""
INDEXED: Final[tuple[type[Model], ...]] = (KeySecret, RefreshToken)
"""Tables whose rows are found by a digest, and name the key of the index ring in `index_key_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingKeyUse:
    """What the settings and the database have of a ring's key."""

    ring: str
    key_id: str
    writes: bool
    """Whether this process writes with it: it is the first in its ring."""
    is_configured: bool
    """Whether it is in the ring of this process."""
    used_since: datetime | None
    """When the first row was written with it; None if none was."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """How many rows name it, by the name of their kind; kinds without any are left out."""


def ring_key_uses() -> list[RingKeyUse]:
    """Return the use of each key that is in this process's rings, or that the database was written with.

    It reads whole tables. Raises `django.db.Error`.
    """
    checks = {(check.ring, check.key_id): check.seen_at for check in KeyCheck.objects.order_by("-seen_at")}
    known = {ring: [key_id for name, key_id in checks if name == ring.name] for ring in (sealing_ring(), index_ring())}
    return [
        _use(ring, key_id, checks.get((ring.name, key_id)))
        for ring, key_ids in known.items()
        for key_id in dict.fromkeys([*ring.by_id, *key_ids])
    ]


def _use(ring: KeyRing, key_id: str, used_since: datetime | None) -> RingKeyUse:
    counts = _sealed_rows(key_id) if ring.name == "sealing" else _indexed_rows(key_id)
    return RingKeyUse(
        ring=ring.name,
        key_id=key_id,
        writes=key_id == ring.primary.id,
        is_configured=key_id in ring,
        used_since=used_since,
        rows={kind: count for kind, count in counts if count},
    )


def _sealed_rows(key_id: str) -> Iterator[tuple[str, int]]:
    first = stamp(VERSION, key_id)
    after = first[:-1] + bytes((first[-1] + 1,))  # the end of an id is ASCII
    for model in apps.get_models():
        if issubclass(model, SealedRow):
            yield _plural(model), model._default_manager.filter(seal__gte=first, seal__lt=after).count()
    for model, column in SEALED_VALUES:
        stamped = {f"{column}__gte": first, f"{column}__lt": after}
        yield f"{_plural(model)}: {column}", model._default_manager.filter(**stamped).count()
    data = Authenticator.objects.order_by("pk").values_list("data", flat=True).iterator()
    yield "second factors", sum(key_id in _stamps_in(row) for row in data)


def _indexed_rows(key_id: str) -> Iterator[tuple[str, int]]:
    for model in INDEXED:
        yield _plural(model), model._default_manager.filter(index_key_id=key_id).count()


def _stamps_in(data: Any) -> Counter[str]:
    """Return the ids of keys in what a second factor holds: texts sealed and in base64, at any depth."""
    found: Counter[str] = Counter()
    for text in json.dumps(data).split('"')[1::2]:
        try:
            parts = read_stamp(base64.b64decode(text, validate=True), VERSION)
        except ValueError:
            continue
        if parts is not None:
            found[parts[0]] += 1
    return found


def _plural(model: type[Model]) -> str:
    return str(model._meta.verbose_name_plural)
