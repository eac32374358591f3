"""Rate limits over two workers: the headers, which calls share one, and what happens without Redis."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import http_sf
import pytest
import redis

from tests.databases import portal_database
from tests.oauth_client import ClientKey, OAuthClient, json_of
from tests.parallel import all_at_once
from tests.portal import Answer, Portal
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


def parse_headers(answer: Answer) -> tuple[str, dict[str, int], dict[str, int]]:
    """Read both headers as RFC 9651 lists; return the name, the policy's and the limit's parameters."""
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
        name, has, left = parse_headers(answer)
        assert (name, has) == ("default", {"q": AMOUNT, "w": 3600})
        assert left["r"] == AMOUNT - 1 - number
        assert 0 < left["t"] <= 3600
    over = me(limited, secret)
    assert (over.status, json_of(over)["code"]) == (429, "rate_limited")
    assert over.headers["content-type"] == "application/problem+json"
    assert over.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in over.headers
    _, _, left = parse_headers(over)
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
    _, _, before = parse_headers(me(limited, client.secret))
    oauth_client = OAuthClient(limited)
    for _ in range(5):
        assert me(limited, client.secret.swapcase()).status == 401
        assert me(limited, client.id).status == 401
        assert (
            oauth_client.token({"grant_type": "client_credentials"}, client=ClientKey(client.id, "wrong")).status == 401
        )
        assert limited.get(f"/api/v1/me?client_id={client.id}").status == 401
    answer = me(limited, client.secret)
    _, _, after = parse_headers(answer)
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
        assert parse_headers(answer)[2]["r"] == AMOUNT - 2 - number
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
    assert parse_headers(me(limited, client.secret))[2]["r"] == AMOUNT - 1
    with redis.Redis.from_url(store.url) as connection:
        for _ in range(5):
            connection.flushall()
            assert {me(limited, gone.secret).status for _ in range(8)} == {401}
        connection.flushall()
    assert parse_headers(me(limited, client.secret))[2]["r"] == AMOUNT - 1  # the count begins anew: that is all it held


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

    def workers_count_together() -> bool:
        fresh = ClientKey(*limited.make_key(EMAIL))
        before, *left = (parse_headers(me(limited, fresh.secret))[2]["r"] for _ in range(5))
        return left == [before - 1, before - 2, before - 3, before - 4]

    wait_until(workers_count_together)  # each worker tries again when its circuit breaker is half open
