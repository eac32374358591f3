"""A cached verdict costs no query, on either database; a forked process begins anew; the wall clock does not matter."""

import time
import uuid

import pytest
import time_machine

from credentials.verified_cache import clock
from credentials.verified_cache.cache import MAX_AGE
from credentials.verified_cache.freshness import Freshness
from credentials.verified_cache.lease import SECONDS
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal

COUNTED = """
from django.db import connection
from django.test.utils import CaptureQueriesContext
from credentials.verified_cache.freshness import freshness
from gateway.verification import verify_any
from tests.waiting import wait_until

def queries(credential):
    with CaptureQueriesContext(connection) as captured:
        verify_any(credential, address=None)
    return len(captured)

def counted():
    freshness().cache.clear()
    return [[queries(credential) for _ in range(4)] for credential in ({secret!r}, {token!r})]

wait_until(lambda: freshness().current() is not None)
# On SQLite a commit of the server in between, such as that of its counts, rightly costs one more.
wait_until(lambda: counted() == {expected}, otherwise=counted)
print({expected})
"""
FORKED = """
import os
from credentials.verified_cache.freshness import freshness
from credentials.usage.counters import usage_counters
from credentials.usage.flusher import flusher
from credentials.background import background
from gateway.verification import verify_any
from tests.waiting import wait_until

with flusher()._flushing:  # so that the background thread, if there is one, leaves the counts alone
    wait_until(lambda: verify_any({secret!r}, address=None) and len(freshness().cache) >= 1)
    usage_counters().count("api", "accepted", 0.1, credential="key_x")
    child = os.fork()
    if not child:
        known = [len(freshness().cache), len(usage_counters().drain()), freshness()._listener, background()._thread]
        connection = freshness()._thread.connection
        connection.connection = None  # the parent's: nobody may speak over it
        wait_until(lambda: verify_any({secret!r}, address=None) and len(freshness().cache) == 1)
        os._exit(0 if known == [0, 0, None, None] else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(usage_counters().drain()))
"""


@pytest.fixture
def client(portal: Portal, request: pytest.FixtureRequest) -> ClientKey:
    email = f"remembering-{uuid.uuid4().hex}@example.com"
    portal.make_developer(email)
    return ClientKey(*portal.make_key(email))


def test_the_first_verification_is_one_query_and_the_next_ones_are_none(
    portal: Portal, oauth_client: OAuthClient, client: ClientKey
) -> None:
    expected = "[[1, 0, 0, 0], [1, 0, 0, 0]]"
    code = COUNTED.format(secret=client.secret, token=oauth_client.client_token(client), expected=expected)
    assert portal.shell(code) == expected


def test_a_forked_process_trusts_nothing_that_came_along_and_remembers_by_itself(
    portal: Portal, client: ClientKey
) -> None:
    assert portal.shell(FORKED.format(secret=client.secret)) == "0 1"


@pytest.mark.once
@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_somebody_sets_neither_prolongs_nor_ends_the_lease(step: float) -> None:
    fresh = Freshness()
    began = clock.now()
    fresh.lease.renew(since=began)
    with time_machine.travel(time.time() + step):
        assert 0 <= clock.now() - began < abs(step) / 2
        assert fresh.lease.until == began + SECONDS


@pytest.mark.once
def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    assert (clock.now.func, clock.now.args) == (time.clock_gettime, (time.CLOCK_BOOTTIME,))


@pytest.mark.once
@pytest.mark.finding("H14")
def test_a_heartbeat_from_before_the_trust_ended_does_not_bring_it_back() -> None:
    """What ended it was committed after that heartbeat, and may still be on its way."""
    fresh = Freshness()
    before = clock.now()
    fresh.lease.revoke()
    fresh.lease.renew(since=before)
    assert fresh.lease.until == 0
    fresh.lease.renew(since=clock.now() + 0.001)
    assert fresh.lease.until > clock.now()
    generation = fresh.cache.generation
    fresh.lease.revoke()
    assert (fresh.lease.until, fresh.cache.generation) == (0, generation + 1)


AGED = """
import time
from django.db import connection
from django.test.utils import CaptureQueriesContext
from credentials.verified_cache import clock
from credentials.verified_cache.freshness import freshness
from gateway.verification import verify_any

def queries():
    with CaptureQueriesContext(connection) as captured:
        verify_any({secret!r}, address=None)
    return len(captured)

moved = 0.0
freshness().cache._now = lambda: clock.now() + moved
deadline = time.monotonic() + 30
counted = []
while counted != {expected} and time.monotonic() < deadline:
    # On SQLite a commit of the server in between, such as that of its counts, rightly costs one more.
    freshness().current()
    freshness().cache.clear()
    counted = []
    for seconds in (0, 0, {age} - 5, 10, 0):
        moved += seconds
        counted.append(queries())
print(counted)
"""


@pytest.mark.finding("H14")
def test_nothing_is_remembered_for_longer_than_a_minute(portal: Portal, client: ClientKey) -> None:
    """Whatever goes unheard: by the cache's own clock, which the test moves on."""
    expected = "[1, 0, 0, 1, 0]"
    assert MAX_AGE == 60
    assert portal.shell(AGED.format(secret=client.secret, expected=expected, age=MAX_AGE)) == expected
