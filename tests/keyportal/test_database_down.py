"""A real PostgreSQL that goes away and comes back: 503 everywhere, never 200 or 401, and no restart of the portal."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.oauth_client import ENDED, ClientKey, OAuthClient, json_of
from tests.parallel import all_at_once
from tests.portal import Answer, Portal
from tests.staleness import IN_A_ROW
from tests.waiting import wait_until_steady
from tests.with_postgres import Cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql]


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal on a PostgreSQL of its own that a test may stop."""
    folder: Path = tmp_path_factory.mktemp("site")
    with Portal(folder, cluster.url).running() as started:
        yield started


def wait_until_noticed(site: Portal, authorization: str, path: str = "/api/v1/me") -> None:
    """Ask until both workers know that the database is away: until their lease is over, they answer from the cache."""

    def is_down() -> bool:
        status = site.get(path, Authorization=authorization).status
        assert status in (200, 503)  # never a 401: a client would throw a good key away
        return status == 503

    wait_until_steady(is_down, in_a_row=IN_A_ROW)


@pytest.mark.security("R-01")
@pytest.mark.conformance("RV-08")
@pytest.mark.conformance("FA-04")
def test_no_token_is_issued_ended_or_judged_while_the_database_is_away(site: Portal, cluster: Cluster) -> None:
    site.make_developer("tokens-down@example.com")
    oauth_client = OAuthClient(site)
    client = ClientKey(*site.make_key("tokens-down@example.com"))
    pair = oauth_client.log_in("tokens-down@example.com")
    token = oauth_client.client_token(client)

    head = {"Authorization": f"Bearer {client.secret}"}
    entry_points: list[Callable[[], Answer]] = [
        lambda: oauth_client.token({"grant_type": "client_credentials"}, client=client),
        lambda: oauth_client.refresh(pair["refresh_token"]),
        lambda: oauth_client.form("/oauth/revoke", {"token": token}, client=client),
        lambda: oauth_client.form("/oauth/introspect", {"token": token}, client=client),
        lambda: oauth_client.password("tokens-down@example.com"),
        lambda: oauth_client.post("/api/v1/tokens/refresh", {"refresh_token": pair["refresh_token"]}),
        lambda: oauth_client.me(token),
        lambda: oauth_client.post("/api/v1/verify", {"credential": token}, **head),
        lambda: site.get("/gateway/auth", **head),
    ]

    cluster.stop()
    try:
        wait_until_noticed(site, f"Bearer {client.secret}")
        for _ in range(4):
            answers = [entry_point() for entry_point in entry_points]
            assert {answer.status for answer in answers} == {503}
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
            assert json_of(answers[2])["error"] == "temporarily_unavailable"
    finally:
        cluster.start()
    for _ in range(8):  # the first request on each worker's connections included
        assert site.get("/gateway/auth", Authorization=f"Bearer {client.secret}").status == 200
    assert oauth_client.me(token).status == 200  # 503 meant: not revoked, try again
    assert oauth_client.form("/oauth/revoke", {"token": token}, client=client).status == 200
    assert oauth_client.wait_for_refusal(token) in ENDED
    log = site.log.read_text()
    for secret in (client.secret, token, pair["refresh_token"]):
        assert secret not in log


@pytest.mark.security("R-01")
def test_the_database_goes_and_comes_back(site: Portal, cluster: Cluster) -> None:
    site.make_developer("down@example.com")
    _, secret = site.make_key("down@example.com")
    authorization = f"Bearer {secret}"
    assert {site.get("/api/v1/me", Authorization=authorization).status for _ in range(8)} == {200}
    cluster.stop()
    try:
        wait_until_noticed(site, authorization)
        for _ in range(8):  # both workers, and connections that are open already
            answer = site.get("/api/v1/me", Authorization=authorization)
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert json.loads(answer.body)["code"] == "unavailable"
        page = site.get("/accounts/login/", Cookie="sessionid=" + "a" * 43)
        assert page.status in (200, 503)
        keys = site.get("/keys/", Cookie="sessionid=" + "a" * 43)
        assert keys.status == 503
        assert b"We'll be right back" in keys.body
        assert site.get("/healthz").status == 200
        ready = site.get("/readyz")
        assert ready.status == 503
        assert json.loads(ready.body)["faults"] == [
            "the database can't be reached: nothing listens there: connection refused"
        ]
    finally:
        cluster.start()
    assert site.get("/api/v1/me", Authorization=authorization).status == 200
    assert site.get("/readyz").status == 200
    assert secret not in site.log.read_text()
    assert cluster.password not in site.log.read_text()


@pytest.mark.security("R-02")
def test_a_database_that_hangs_holds_nobody_up(site: Portal, cluster: Cluster) -> None:
    """It takes what is sent and says nothing until every client has an answer: only a timeout can give one."""
    site.make_developer("hangs@example.com")
    _, secret = site.make_key("hangs@example.com")
    entry_points = [("/gateway/auth", 503), ("/api/v1/me", 503), ("/healthz", 200), ("/.well-known/jwks.json", 200)]
    threads = 2 * site.threads

    def ask_for_a_token(number: int) -> int:
        """A question that is not a verdict's: the first thing it does is Django's health check of its connection."""
        unknown = ClientKey("key_" + f"{number:022d}", "kp_live_x")
        return OAuthClient(site).token({"grant_type": "client_credentials"}, client=unknown).status

    # Every thread has a connection that was well a moment ago.
    assert {status for _ in range(3) for status in all_at_once(threads, ask_for_a_token)} == {401}
    assert {site.get("/gateway/auth", Authorization=f"Bearer {secret}").status for _ in range(8)} == {200}
    cluster.freeze()
    try:
        assert set(all_at_once(threads, ask_for_a_token)) == {503}
        wait_until_noticed(site, f"Bearer {secret}", "/gateway/auth")
        for _ in range(3):
            for path, expected in entry_points:
                assert site.get(path, Authorization=f"Bearer {secret}").status == expected, path
        assert site.get("/healthz").status == 200
    finally:
        cluster.thaw()
    for path in ("/api/v1/me", "/gateway/auth"):
        wait_until_steady(
            lambda path=path: site.get(path, Authorization=f"Bearer {secret}").status == 200,  # type: ignore[misc]
            in_a_row=IN_A_ROW,
        )


@pytest.mark.security("R-01")
def test_a_portal_that_starts_before_its_database_answers_503_until_it_is_there(
    site: Portal, cluster: Cluster, tmp_path: Path
) -> None:
    early = Portal(tmp_path, cluster.url, **{name: site.environment[name] for name in SECRETS})
    cluster.stop()
    try:
        early.start()
        assert early.get("/api/v1/me").status == 503
        assert early.get("/readyz").status == 503
    finally:
        cluster.start()
    try:
        assert early.get("/api/v1/me").status == 401
        assert early.get("/readyz").status == 200
    finally:
        early.stop()


SECRETS = ("SECRET_KEY", "KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS", "KEYPORTAL_SIGNING_KEYS")


def test_migrations_that_are_missing_are_named(cluster: Cluster, site: Portal, tmp_path: Path) -> None:
    empty = Portal(tmp_path, f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    empty.start()
    try:
        ready = empty.get("/readyz")
        assert ready.status == 503
        assert json.loads(ready.body)["faults"] == ["migrations are not applied"]
    finally:
        empty.stop()
