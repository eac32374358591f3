"""An outage in the log: one line for each request that got 503, with its id and the reason that `/readyz` gives too."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.portal import Portal
from tests.staleness import IN_A_ROW
from tests.waiting import wait_until, wait_until_steady
from tests.with_postgres import Cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql, pytest.mark.finding("H50")]

PATHS = ("/gateway/auth", "/api/v1/me", "/keys/", "/api/v1/changes")
COOKIE = "sessionid=" + "a" * 43
LINE = 400
"""Bytes that a line about a verdict may have; its traceback alone has ten times as many."""


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal with one worker, whose log is JSON."""
    folder: Path = tmp_path_factory.mktemp("site")
    site = Portal(folder, cluster.url, KEYPORTAL_LOG_FORMAT="json", KEYPORTAL_VERDICT_TIMEOUT="30")
    with site.running(workers=1):
        yield site


@pytest.fixture(scope="module")
def secret(site: Portal) -> str:
    """The secret of a service."""
    site.make_developer("lines@example.com")
    _, secret = site.make_key("lines@example.com", "--scope", "credentials:verify", "--restricted")
    return secret


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def has_said(site: Portal, logger: str, reason: str) -> bool:
    said = [line["message"] for line in parsed(site.log.read_text()) if line["logger"] == logger]
    return any(reason in message for message in said)


def wait_until_down(site: Portal, secret: str) -> None:
    head = {"Authorization": f"Bearer {secret}"}
    wait_until_steady(lambda: site.get("/gateway/auth", **head).status == 503, in_a_row=IN_A_ROW)


def wait_until_up(site: Portal, secret: str) -> None:
    head = {"Authorization": f"Bearer {secret}"}
    wait_until(lambda: site.get("/gateway/auth", **head).status == 200 and site.get("/readyz").status == 200)


def check_lines(site: Portal, secret: str, reasons: set[str], paths: tuple[str, ...] = PATHS) -> None:
    """Ask for everything twice; see one line for each answer, with its id and one of the reasons."""
    head = {"Authorization": f"Bearer {secret}", "Cookie": COOKIE}
    for path in paths:  # what has a traceback now has none in the next minute
        site.get(path, **head)
    written = len(site.log.read_text())
    for path in paths:
        answer = site.get(path, **head)
        assert answer.status == 503, path
        about = [line for line in parsed(site.log.read_text()) if line["request_id"] == answer.headers["x-request-id"]]
        said = [line for line in about if line["logger"] != "keyportal.access"]
        if path == "/api/v1/changes" and not said:
            continue  # once a minute for all verifiers
        assert len(said) == 1, (path, said)
        assert any(reason in said[0]["message"] for reason in reasons), (path, said)
        assert "exc_info" not in said[0]
        assert len(json.dumps(said[0])) < LINE
    assert "Traceback" not in site.log.read_text()[written:]
    faults = json.loads(site.get("/readyz").body)["faults"]
    assert any(reason in faults[0] for reason in reasons), faults
    assert secret not in site.log.read_text()


def test_a_database_that_is_away(site: Portal, cluster: Cluster, secret: str) -> None:
    wait_until_up(site, secret)
    cluster.stop()
    try:
        wait_until_down(site, secret)
        check_lines(site, secret, {"nothing listens there: connection refused"})
        for said in ("credentials.background", "credentials.verified_cache.listener", "keyportal.mailer"):
            wait_until(partial(has_said, site, said, "nothing listens there"))
        assert has_said(site, "keyportal.views", "nothing listens there")
    finally:
        cluster.start()
    wait_until_up(site, secret)
    wait_until(lambda: "the database can be reached again" in site.log.read_text())


def test_a_database_that_refuses_the_log_in(site: Portal, cluster: Cluster, secret: str) -> None:
    wait_until_up(site, secret)
    admin = cluster.url.removesuffix("/keyportal") + "/postgres"
    with psycopg.connect(admin, autocommit=True) as connection:
        change = sql.SQL("ALTER ROLE keyportal PASSWORD {}")
        connection.execute(change.format("another"))
        try:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = 'keyportal' AND pid <> pg_backend_pid()"
            )
            wait_until_down(site, secret)
            check_lines(site, secret, {"it refuses the log-in"})
        finally:
            connection.execute(change.format(cluster.password))
    wait_until_up(site, secret)
    assert cluster.password not in site.log.read_text()


def test_a_database_that_hangs(site: Portal, cluster: Cluster, secret: str) -> None:
    wait_until_up(site, secret)
    cluster.freeze()
    try:
        wait_until_down(site, secret)
        reasons = {
            "the database did not answer in time",
            "the database did not answer a moment ago",
            "no answer in time",
        }
        check_lines(site, secret, reasons, ("/gateway/auth", "/api/v1/me"))
    finally:
        cluster.thaw()
    wait_until_up(site, secret)
