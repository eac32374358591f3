"""Answer a repeated call as the first one was answered: what `Idempotency-Key` asks for.

The claim and the answer are written in the transaction of the verb, so that either both are there or neither. Of two
calls at once, PostgreSQL lets one go on and tells the other; SQLite lets one wait for the other.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apikeys.errors import AnswerDestroyedError, DifferentCallError, StillRunningError
from apikeys.models import APIKey, IdempotentAnswer, KeySecret
from apikeys.services.policies import policy_of
from apikeys.services.secrets import may_reveal
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.usage.models import SourceAddress
from integrity.sealing import seal_value, unseal_value

KEPT_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the API that may hold a secret."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that may be repeated."""

    caller: str
    """The key or user that calls: `key:key_…`, `user:usr_…`."""
    name: str
    """The `Idempotency-Key`."""
    request: bytes
    """Whatever distinguishes the request: method, address and body."""


def answer_once(
    call: Call,
    act: Callable[[], tuple[APIKey, Answer]],
    *,
    check: Callable[[APIKey], bool],
    origin: Origin,
) -> tuple[Answer, bool]:
    """Return the answer to a call, and whether it is that of an earlier one; `act` is run if there was none.

    `check` is run before a secret is answered again: it raises if the caller may not have that key's any more, and
    returns whether it may only until the secret was used. Raises `StillRunningError`, `DifferentCallError` if the
    earlier call was another one, `AnswerDestroyedError`, and whatever `act` and `check` raise. After an error of `act`
    nothing is kept.
    """
    name, request = (hashlib.sha256(text).digest() for text in (call.name.encode(), call.request))
    with transaction.atomic():
        _claim(f"{call.caller} {call.name}")
        found = IdempotentAnswer.objects.filter(caller=call.caller, call=name).select_related("key")
        found.filter(created_at__lte=timezone.now() - KEPT_FOR).delete()
        if (earlier := found.first()) is not None:
            return _earlier_answer(earlier, request, check, origin), True
        key, answer = act()
        row = IdempotentAnswer(caller=call.caller, call=name, request=request, key=key)
        row.holds_secret = "secret" in answer.body
        row.content = seal_value(json.dumps(asdict(answer)), row.sealing_context())
        row.save(force_insert=True)
    return answer, False


def destroy_answers(key: APIKey) -> None:
    """Destroy the secrets in answers about a key that is revoked or rotated. The calls are not carried out again."""
    IdempotentAnswer.objects.filter(key=key, holds_secret=True).update(content=None)


def destroy_used_answers() -> int:
    """Destroy the answers that hold a secret that is shown only once and was used; return their number."""
    used = _used(ciphertext=None)
    return used.update(content=None) if used.exists() else 0  # no lock for nothing


def _used(**of_secret: None) -> QuerySet[IdempotentAnswer]:
    """Return the answers whose secret was used, and so has arrived; those of such secrets, if that is asked for.

    Uses are written every few seconds.
    """
    current = KeySecret.objects.filter(key=OuterRef("key"), replaced_at=None, **of_secret)
    used = current.filter(Exists(SourceAddress.objects.filter(credential=OuterRef("key"), secret=OuterRef("pk"))))
    return IdempotentAnswer.objects.filter(Exists(used), holds_secret=True, content__isnull=False)


def _claim(name: str) -> None:
    """Hold the name of a call until the transaction ends. Raises `StillRunningError` if another one holds it.

    On SQLite the transaction is IMMEDIATE, and already alone.
    """
    if connection.vendor != "postgresql":
        return
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        if not cursor.fetchone()[0]:
            raise StillRunningError("The first call with this Idempotency-Key is still running.")


def _earlier_answer(
    earlier: IdempotentAnswer, request: bytes, check: Callable[[APIKey], bool], origin: Origin
) -> Answer:
    if bytes(earlier.request) != request:
        raise DifferentCallError("This Idempotency-Key was sent with another request before.")
    if earlier.holds_secret and (check(earlier.key) or not may_reveal(policy_of(earlier.key.environment))):
        over = _used()
    else:
        over = _used(ciphertext=None)
    if earlier.content is None or over.filter(pk=earlier.pk).exists():
        raise AnswerDestroyedError("This call was carried out before. Its answer is no longer kept.")
    if earlier.holds_secret:
        record_event(EventType.SECRET_REPEATED, subject=f"key:{earlier.key_id}", origin=origin)
    answer: dict[str, Any] = json.loads(unseal_value(bytes(earlier.content), earlier.sealing_context()))
    return Answer(**answer)
