"""`POST /api/v1/usage`: verifiers report the calls that they judged themselves.

A batch is stored before it is acknowledged, and the same batch again changes nothing. So a verifier sends it until it
is acknowledged, and every call is counted once.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import ClassVar, Final

from typing_extensions import override

from accounts.models import User
from apikeys.models import APIKey, KeySecret
from audit.client_address import Address
from credentials.runtime.errors import WouldBlockError
from credentials.usage.counters import ACCEPTED, HOUR, CallCount, CounterKey
from credentials.usage.services import add_usage
from credentials.verified_cache.freshness import Lookup, get_or_load, may_query
from gateway.caller_cache import CallerCache
from gateway.callers import caller_id
from gateway.service_call import ServiceCall
from gateway.usage_request import ReportedCalls, UsageRequest, parse_body

PATH: Final = "/api/v1/usage"


class UsageCall(ServiceCall):
    """One batch of a verifier."""

    STATUS: ClassVar[HTTPStatus] = HTTPStatus.ACCEPTED

    def __init__(
        self,
        authorization: str | None,
        query: str,
        body: bytes | bytearray,
        address: Address | None,
        caller_cache: CallerCache | None = None,
    ) -> None:
        super().__init__(authorization, query, address, caller_cache)
        self.body = body

    @override
    def respond(self, lookup: Lookup = get_or_load) -> bytes:
        caller = self.authenticate(lookup).credential
        if not may_query(lookup):
            raise WouldBlockError
        request = parse_body(self.body, now=time.time())
        left_out, counts = _count(request)
        is_new = add_usage(batch_id=_batch_id(caller_id(caller), request.batch), calls=counts)
        return json.dumps({"is_new": is_new, "left_out": left_out}).encode()


def _batch_id(service: str, batch: str) -> str:
    """Return an id that no other service, and no worker of the portal, gives a batch."""
    return hashlib.sha256(f"{service} {batch}".encode()).hexdigest()[:32]


def _count(request: UsageRequest) -> tuple[list[int], Mapping[CounterKey, CallCount]]:
    """Return the places of calls that are left out, because the credential is unknown, and the counts of the others."""
    known, secrets = _known(request.calls)
    left_out: list[int] = []
    counts: dict[CounterKey, CallCount] = {}
    now = time.time()
    for place, calls in enumerate(request.calls):
        if calls.credential not in known:
            left_out.append(place)
            continue
        is_of_secret = calls.outcome == ACCEPTED and (calls.credential, calls.secret) in secrets
        secret = calls.secret if is_of_secret else ""
        for address, count in _by_address(calls):
            key = CounterKey(calls.hour, calls.entry_point, calls.outcome, calls.credential, secret, address)
            counted = counts.setdefault(key, CallCount(min(now, (calls.hour + 1) * HOUR)))
            counted.count += count
    return left_out, counts


def _by_address(calls: ReportedCalls) -> Iterator[tuple[Address | None, int]]:
    """Yield the addresses with their numbers of calls: all under none, if it is not known how many came from each."""
    if len(calls.addresses) == 1:
        yield calls.addresses[0], calls.amount
        return
    yield None, calls.amount
    for address in calls.addresses:
        yield address, 0


def _known(calls: Collection[ReportedCalls]) -> tuple[set[str], set[tuple[str, str]]]:
    """Return which of the credentials exist, and which of the secrets with their keys."""
    names = {each.credential for each in calls}
    known = set(APIKey.objects.filter(pk__in=names).values_list("pk", flat=True))
    known |= set(User.objects.filter(pk__in=names - known).values_list("pk", flat=True))
    secrets = KeySecret.objects.filter(pk__in={each.secret for each in calls if each.secret})
    return known, set(secrets.values_list("key_id", "pk"))
