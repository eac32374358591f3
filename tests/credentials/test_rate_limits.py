"""Rate limits: the headers, who shares one, and what happens without Redis."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import http_sf
import pytest
import redis
from django.test import Client as Browser

from accounts.models import User
from apikeys import services
from audit.models import Event
from credentials.limits.rate_limit_text import parse_rate_limit
from credentials.limits.rate_limiter import RateLimiter, rate_limiter
from credentials.runtime.errors import WouldBlockError
from tests.conftest import ORIGIN, MakeKey
from tests.databases import portal_database
from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.parallel import all_at_once
from tests.portal import Answer, Portal
from tests.ports import free_port
from tests.proxy import proxy_to
from tests.redis_server import RedisServer, redis_server
from tests.waiting import wait_until

pytestmark = pytest.mark.once
EMAIL = "limited@example.com"
AMOUNT = 20


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    with redis_server() as started:
        yield started


@pytest.fixture(scope="module")
def limited(store: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal of two workers that count together."""
    folder: Path = tmp_path_factory.mktemp("limited")
    limits = {"KEYPORTAL_RATE_LIMIT": f"{AMOUNT}/hour", "CACHE_URL": store.url}
    with portal_database(folder) as database_url, Portal(folder, database_url, **limits).running() as started:
        started.make_developer(EMAIL)
        yield started


def me(portal: Portal, credential: str) -> Answer:
    return portal.get("/api/v1/me", Authorization=f"Bearer {credential}")


def parsed(answer: Answer) -> tuple[str, dict[str, int], dict[str, int]]:
    """Read both headers as RFC 9651 lists; give the name, the policy's and the limit's parameters."""
    policies: Any = http_sf.parse(answer.headers["ratelimit-policy"].encode(), tltype="list")
    limits: Any = http_sf.parse(answer.headers["ratelimit"].encode(), tltype="list")
    [(policy, has)], [(name, left)] = policies, limits
    assert policy == name
    return name, has, left


@pytest.mark.redis
@pytest.mark.conformance("PD-07")
@pytest.mark.conformance("PD-08")
def test_the_headers_count_down_and_the_limit_is_429(limited: Portal) -> None:
    _, secret = limited.make_key(EMAIL)
    for number in range(AMOUNT):
        answer = me(limited, secret)
        assert answer.status == 200
        name, has, left = parsed(answer)
        assert (name, has) == ("default", {"q": AMOUNT, "w": 3600})
        assert left["r"] == AMOUNT - 1 - number
        assert 0 < left["t"] <= 3600
    over = me(limited, secret)
    assert (over.status, json_of(over)["code"]) == (429, "rate_limited")
    assert over.headers["content-type"] == "application/problem+json"
    assert over.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in over.headers
    _, _, left = parsed(over)
    assert left["r"] == 0
    assert int(over.headers["retry-after"]) >= left["t"] >= 1


@pytest.mark.redis
def test_two_workers_let_through_just_as_many(limited: Portal) -> None:
    _, secret = limited.make_key(EMAIL)
    answers = all_at_once(8, lambda _: [me(limited, secret).status for _ in range(5)])
    statuses = [status for some in answers for status in some]
    assert (statuses.count(200), statuses.count(429)) == (AMOUNT, len(statuses) - AMOUNT)


@pytest.mark.redis
@pytest.mark.conformance("PD-09")
def test_nobody_else_uses_a_key_s_limit_up(limited: Portal) -> None:
    client = ClientKey(*limited.make_key(EMAIL))
    _, _, before = parsed(me(limited, client.secret))
    oauth_client = OAuthClient(limited)
    for _ in range(5):
        assert me(limited, client.secret.swapcase()).status == 401
        assert me(limited, client.id).status == 401
        assert (
            oauth_client.token({"grant_type": "client_credentials"}, client=ClientKey(client.id, "wrong")).status == 401
        )
        assert limited.get(f"/api/v1/me?client_id={client.id}").status == 401
    answer = me(limited, client.secret)
    _, _, after = parsed(answer)
    assert after["r"] == before["r"] - 1
    assert client.secret not in str(answer.headers)


@pytest.mark.redis
def test_a_key_and_its_tokens_share_one_limit_at_every_endpoint(limited: Portal) -> None:
    client = ClientKey(*limited.make_key(EMAIL))
    oauth_client = OAuthClient(limited)
    token = oauth_client.client_token(client)  # one
    entry_points: list[Callable[[], Answer]] = [
        lambda: me(limited, client.secret),
        lambda: me(limited, token),
        lambda: limited.get("/gateway/auth", Authorization=f"Bearer {client.secret}"),
        lambda: limited.get("/gateway/auth", Authorization=f"Bearer {token}"),
    ]
    for number in range(AMOUNT - 1):
        answer = entry_points[number % len(entry_points)]()
        assert answer.status == 200
        assert parsed(answer)[2]["r"] == AMOUNT - 2 - number
    assert {entry_point().status for entry_point in entry_points} == {429}
    denied = limited.get("/gateway/auth?deny=403", Authorization=f"Bearer {token}")
    assert (denied.status, denied.headers["x-keyportal-code"]) == (403, "rate_limited")
    assert int(denied.headers["retry-after"]) >= 1
    assert "www-authenticate" not in denied.headers


@pytest.mark.redis
def test_the_limit_of_what_is_asked_about_holds_at_verify_and_not_at_introspection(limited: Portal) -> None:
    limited.shell("Scope.objects.get_or_create(name='credentials:verify', defaults={'description': 'v'})")
    asker = ClientKey(*limited.make_key(EMAIL, "--scope", "credentials:verify", "--restricted"))
    client = ClientKey(*limited.make_key(EMAIL))
    oauth_client = OAuthClient(limited)
    head = {"Authorization": f"Bearer {asker.secret}"}
    answers = [
        json_of(oauth_client.post("/api/v1/verify", {"credential": client.secret}, **head)) for _ in range(AMOUNT + 1)
    ]
    assert [answer["valid"] for answer in answers] == [True] * AMOUNT + [False]
    assert answers[-1]["code"] == "rate_limited"
    assert answers[-1]["about"]["retry_after"] >= 1
    introspected = oauth_client.form("/oauth/introspect", {"token": client.secret}, client=asker)
    assert json_of(introspected)["active"] is True


@pytest.mark.redis
@pytest.mark.security("R-05")
def test_a_redis_that_forgets_everything_forgets_no_revocation(limited: Portal, store: RedisServer) -> None:
    client, gone = (ClientKey(*limited.make_key(EMAIL)) for _ in range(2))
    assert me(limited, gone.secret).status == 200
    limited.revoke_key(gone.id)
    assert parsed(me(limited, client.secret))[2]["r"] == AMOUNT - 1
    with redis.Redis.from_url(store.url) as connection:
        for _ in range(5):
            connection.flushall()
            assert {me(limited, gone.secret).status for _ in range(8)} == {401}
        connection.flushall()
    assert parsed(me(limited, client.secret))[2]["r"] == AMOUNT - 1  # the count begins anew: that is all it held


@pytest.mark.redis
@pytest.mark.security("R-03")
@pytest.mark.parametrize("fault", ["stop", "freeze"])
@pytest.mark.security("R-04")
def test_without_redis_calls_are_limited_by_each_worker_and_none_fails(
    limited: Portal, store: RedisServer, fault: str
) -> None:
    client, gone = (ClientKey(*limited.make_key(EMAIL)) for _ in range(2))
    limited.revoke_key(gone.id)
    assert me(limited, client.secret).status == 200
    getattr(store, fault)()
    try:
        statuses = [me(limited, client.secret).status for _ in range(4 * AMOUNT)]
        assert set(statuses) == {200, 429}
        assert AMOUNT <= statuses.count(200) <= 2 * AMOUNT + 1  # each of two workers, and the last that Redis counted
        assert me(limited, gone.secret).status == 401
        assert limited.get("/readyz").status == 200
        log = limited.log.read_text()
        assert 1 <= log.count("each worker counts rate limits separately") < len(statuses)  # not for each call
    finally:
        store.thaw() if fault == "freeze" else store.start()

    def counted_together() -> bool:
        fresh = ClientKey(*limited.make_key(EMAIL))
        before, *left = (parsed(me(limited, fresh.secret))[2]["r"] for _ in range(5))
        return left == [before - 1, before - 2, before - 3, before - 4]

    wait_until(counted_together)  # each worker tries again after its rest


def is_allowed(limiter: RateLimiter, limit: str, name: str = "somebody") -> bool:
    quota = limiter.hit(name, limit)
    assert quota is not None
    return not quota.is_exceeded


def test_a_store_that_fails_is_left_alone_for_longer_and_longer(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("credentials.runtime.circuit_breaker.time", SimpleNamespace(monotonic=lambda: now))
    with proxy_to(free_port()) as store:  # nobody is there
        settings.CACHE_URL = f"redis://127.0.0.1:{store.port}/0"
        limiter = RateLimiter()
        asked = []
        for pause in (0.0, 0.5, 0.6, 1.0, 1.1, 3.0, 2.1, 9.0, 1.1, 9.0, 1.1):
            now += pause
            for _ in range(20):
                assert is_allowed(limiter, "1000/hour")
            asked.append(store.refused)
    assert asked == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]


def test_a_counter_without_its_store_counts_by_itself(settings: Any) -> None:
    with proxy_to(free_port()) as store:  # nobody is there
        settings.CACHE_URL = f"redis://127.0.0.1:{store.port}/0"
        limiter = RateLimiter()
        assert [is_allowed(limiter, "3/hour") for _ in range(5)] == [True] * 3 + [False] * 2
        assert is_allowed(limiter, "3/hour", "another")


def test_who_must_not_wait_does_not_ask_redis(settings: Any) -> None:
    settings.CACHE_URL, settings.KEYPORTAL_RATE_LIMIT = f"redis://127.0.0.1:{free_port()}/0", "3/hour"
    rate_limiter.cache_clear()
    try:
        with pytest.raises(WouldBlockError):
            rate_limiter().hit("somebody", "", may_block=False)
        settings.CACHE_URL = ""
        rate_limiter.cache_clear()
        assert rate_limiter().hit("somebody", "", may_block=False)
    finally:
        rate_limiter.cache_clear()


def test_without_a_limit_there_are_no_headers(portal: Portal) -> None:
    portal.make_developer("unlimited@example.com")
    _, secret = portal.make_key("unlimited@example.com")
    assert [name for name in me(portal, secret).headers if name.startswith("ratelimit")] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "many",
        "0/minute",
        "10/minute;5/second",
        "-1/day",
        "10/fortnight",
        "1/9999 year",
        "9" * 12 + "/day",
        "1/day" * 9,
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_rate_limit(text)


@pytest.mark.django_db
def test_an_operator_limits_a_key_on_the_record(log_in: Any, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    browser: Browser = log_in(operator)

    def ask(**fields: str) -> Any:
        chosen = {"action": "limit_keys", "_selected_action": key.pk, **fields}
        return browser.post("/admin/apikeys/apikey/", chosen, secure=True, follow=True)

    assert "Set the rate limit" in ask().content.decode()
    assert ask(limit="nonsense").status_code == 400
    assert "1 changed" in ask(limit="7/minute").content.decode()
    assert "0 changed" in ask(limit="7/minute").content.decode()
    key.refresh_from_db()
    assert key.rate_limit == "7/minute"
    event = Event.objects.get(verb="key_limited")
    assert (event.subject_id, event.details["limit"]) == (key.pk, "7/minute")
    assert services.set_rate_limit(key=key, limit="", origin=ORIGIN) is True


@pytest.mark.django_db
def test_a_key_s_own_limit_replaces_the_default(settings: Any, client: Browser, make_key: MakeKey) -> None:
    settings.KEYPORTAL_RATE_LIMIT = "3/hour"
    key, secret = make_key()
    services.set_rate_limit(key=key, limit="2/hour", origin=ORIGIN)
    heads = {"Authorization": f"Bearer {secret}"}
    answers = [client.get("/api/v1/me", secure=True, headers=heads) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0]["RateLimit-Policy"] == '"key";q=2;w=3600'
    assert json.loads(answers[2].content)["key"] == key.pk
