"""A caller is known over its connection, and checked each time as if it were not."""

import json
import secrets
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection

import pytest
import time_machine
from django.utils import timezone

from apikeys.verification import verify
from audit.client_address import parse_address
from credentials.record import VerifiedRecord
from credentials.verified_cache import clock
from credentials.verified_cache.freshness import freshness
from gateway.caller_cache import SECONDS, CallerCache
from gateway.verification import verify_any
from tests.conftest import ORIGIN, MakeKey
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.staleness import IN_A_ROW, wait_until_refused
from tests.typos import with_another_end
from tokens.services import issue_to_key

HOME, AWAY = parse_address("192.0.2.1"), parse_address("198.51.100.1")
Fill = Callable[[str], CallerCache]


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Put a credential into the cache of a connection, in a process whose cache is current."""
    monkeypatch.setattr(freshness(), "is_known_current", lambda: True)

    def fill_cache(credential: str) -> CallerCache:
        known = CallerCache()
        known.put(f"Bearer {credential}", verify_any(credential, address=HOME), generation=freshness().cache.generation)
        return known

    return fill_cache


def token_for(secret: str) -> str:
    return issue_to_key(client=verify(secret, address=HOME), scopes=None, origin=ORIGIN).access_token


@pytest.mark.django_db
@pytest.mark.parametrize("is_token", [False, True], ids=["key", "token"])
def test_the_same_header_is_known(make_key: MakeKey, fill: Fill, *, is_token: bool) -> None:
    key, secret = make_key(networks=["192.0.2.0/24"])
    shown = token_for(secret) if is_token else secret
    known, hits = fill(shown), freshness().cache.hits
    record = known.get(f"Bearer {shown}", HOME)
    assert record is not None
    assert record.counted_as == key.pk
    assert freshness().cache.hits == hits + 1
    assert known.get(f"Bearer {shown[:-1]}", HOME) is None
    assert known.get(f"bearer {shown}", HOME) is None
    assert known.get(f"Bearer {shown}", HOME) is record


@pytest.mark.django_db
def test_no_caller_is_known_after_a_change(make_key: MakeKey, fill: Fill) -> None:
    _, secret = make_key()
    known = fill(secret)
    freshness().cache.drop(["key:of somebody else"])
    assert known.get(f"Bearer {secret}", HOME) is None


@pytest.mark.django_db
def test_no_caller_is_known_while_the_cache_may_be_stale(
    make_key: MakeKey, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = make_key()
    known = fill(secret)
    monkeypatch.setattr(freshness(), "is_known_current", lambda: False)
    assert known.get(f"Bearer {secret}", HOME) is None


@pytest.mark.django_db
def test_no_caller_is_known_for_long(make_key: MakeKey, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = make_key()
    known, now = fill(secret), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + SECONDS + 1)
    assert known.get(f"Bearer {secret}", HOME) is None


@pytest.mark.django_db
@pytest.mark.parametrize("is_token", [False, True], ids=["key", "token"])
def test_a_known_caller_is_checked_each_time(make_key: MakeKey, fill: Fill, *, is_token: bool) -> None:
    _, secret = make_key(networks=["192.0.2.0/24"], expires_at=timezone.now() + timedelta(days=1))
    shown = token_for(secret) if is_token else secret
    assert fill(shown).get(f"Bearer {shown}", AWAY) is None
    known = fill(shown)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert known.get(f"Bearer {shown}", HOME) is None
    assert known.get(f"Bearer {shown}", HOME) is None, "who was refused is looked up"


def test_nothing_of_what_was_sent_is_kept() -> None:
    """A connection stays for as long as a client likes."""
    known = CallerCache()
    known.put("Bearer kp_live_secret", _no_record(), generation=0)
    assert "secret" not in repr([getattr(known, name) for name in CallerCache.__slots__])


def _no_record() -> VerifiedRecord:
    return None  # type: ignore[return-value]  # the cache only stores it


@pytest.fixture
def service(portal: Portal) -> ClientKey:
    """A service that may ask, with its key."""
    email = f"caller-{secrets.token_hex(4)}@example.com"
    portal.make_developer(email)
    return ClientKey(*portal.make_key(email, "--scope", "credentials:verify", "--restricted"))


def verify_over(connection: HTTPConnection, by: str, about: str) -> int:
    headers = {"Authorization": f"Bearer {by}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/verify", json.dumps({"credential": about}), headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_a_service_that_is_revoked_is_refused_over_the_connection_that_it_holds(
    portal: Portal, oauth_client: OAuthClient, service: ClientKey
) -> None:
    portal.make_developer(email := f"shown-{secrets.token_hex(4)}@example.com")
    _, shown = portal.make_key(email)
    with closing(HTTPConnection("127.0.0.1", portal.port)) as connection:
        assert {verify_over(connection, service.secret, shown) for _ in range(IN_A_ROW)} == {200}
        assert verify_over(connection, with_another_end(service.secret), shown) == 401
        assert verify_over(connection, service.secret, shown) == 200
        assert verify_over(connection, shown, shown) == 403
        portal.revoke_key(service.id)
        wait_until_refused(lambda: verify_over(connection, service.secret, shown))
