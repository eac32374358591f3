"""Audit events for failed OAuth clients: recorded on the key that was named, at most once per address and interval."""

from typing import Final

from django.db import transaction
from django.http import HttpRequest

from accounts.attempts import AttemptLimit
from accounts.places import address_bucket
from apikeys.models import APIKey
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.kinds import Kind, kind_of

WRONG_SECRET: Final = "wrong_secret"  # noqa: S105  # a code
OF_ADDRESS: Final = AttemptLimit("events of a failed client from an address", fixed="1 per 5 minutes")
OF_CLIENT: Final = AttemptLimit("events of a failed client from anywhere", fixed="50 per hour")
UNKNOWN_KEY: Final = "key_" + "0" * 22


def record_failed_client(request: HttpRequest, client_id: str, code: str) -> None:
    """Record why a client was refused, if it names an existing key. Not every attempt is recorded.

    A limit keeps guesses from filling the trail. An unknown client leaves no event but costs the same statements (its
    event is written and rolled back), so that timing does not reveal which keys exist.
    """
    address = address_bucket(request.META.get("REMOTE_ADDR", ""))
    with transaction.atomic():
        if OF_ADDRESS.hit(f"{client_id} {address}") or OF_CLIENT.hit(client_id):
            return
        named = client_id if kind_of(client_id) is Kind.PUBLIC_ID else UNKNOWN_KEY  # no other text can be looked up
        is_known = APIKey.objects.filter(pk=named).exists()
        before = transaction.savepoint()
        origin = Origin.of_request(request, actor="anonymous")
        record_event(EventType.CLIENT_FAILED, subject=f"key:{named}", origin=origin, code=code)
        after = transaction.savepoint()
        # Both branches roll back to a savepoint, so that both cost one statement.
        transaction.savepoint_rollback(after if is_known else before)
        transaction.savepoint_commit(before)
