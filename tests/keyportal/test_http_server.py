"""What waits for whom: deadlines, places and room, and what is answered without a thread."""

from typing import Any

import pytest
from pytest_django import Settings

from keyportal.http_server import bounds
from keyportal.http_server import server as application
from keyportal.http_server.server import HTTPServer
from tests.http_server import HALF, PAGE, connect, http_server, work_off

__all__ = ["http_server"]  # a fixture

pytestmark = pytest.mark.once


def test_a_late_request_gets_503_and_never_begins(http_server: HTTPServer) -> None:
    late = [connect(http_server, PAGE) for _ in range(6)]
    assert http_server.others.in_progress == 6
    http_server.tick(1000.0 + http_server.request_timeout - 1)
    assert [end.statuses for _, end in late] == [[]] * 6
    http_server.tick(1000.0 + http_server.request_timeout)
    assert [end.statuses for _, end in late] == [[503]] * 6
    assert (http_server.load().late, http_server.load().others_in_progress, http_server.load().connections) == (6, 6, 6)
    assert b"retry-after: 2" in late[0][1].came
    asked: list[str] = []
    http_server._django = lambda environ, start_response: asked.append(environ["PATH_INFO"]) or []  # type: ignore[func-returns-value]
    work_off(http_server)
    assert asked == []
    assert [end.statuses for _, end in late] == [[503]] * 6


@pytest.mark.parametrize("path", [b"/api/v1/me", b"/gateway/auth", b"/api/v1/verify"])
def test_a_verdict_that_waits_is_given_up_sooner_than_a_page(http_server: HTTPServer, path: bytes) -> None:
    for _ in range(20):  # they wait in every thread of verdicts
        connect(http_server, PAGE.replace(b"/keys/", b"/api/v1/me"))
    waiting = connect(http_server, PAGE.replace(b"/keys/", path))[1]
    http_server.tick(1000.0 + http_server.verdict_timeout)
    assert waiting.statuses == [503]
    assert http_server.verdict_timeout < http_server.request_timeout


def test_where_no_place_is_left_the_answer_is_503_at_once(http_server: HTTPServer, settings: Settings) -> None:
    most = settings.KEYPORTAL_REQUEST_THREADS + application.QUEUE
    waiting = [connect(http_server, PAGE)[1] for _ in range(most)]
    refused = connect(http_server, PAGE)[1]
    assert (refused.statuses, http_server.load().others_refused, http_server.load().late) == ([503], 1, 0)
    assert b"<h1>The portal is busy</h1>" in refused.came
    machine = connect(http_server, PAGE.replace(b"/keys/", b"/api/v1/tokens"))[1]
    assert machine.statuses == [503]
    assert b'"code": "unavailable"' in machine.came
    verdict = connect(http_server, PAGE.replace(b"/keys/", b"/api/v1/me"))[1]
    work_off(http_server)
    assert [end.statuses for end in waiting] == [[200]] * most
    assert verdict.statuses == [200]


def test_who_is_too_slow_takes_no_thread(http_server: HTTPServer) -> None:
    page = HALF.replace(b"/oauth/token", b"/accounts/login/")
    slow = [connect(http_server, half)[1] for half in (page, HALF)]
    http_server.tick(http_server.now + bounds.BODY_WITHIN)
    assert [end.statuses for end in slow] == [[408], [408]]
    assert (http_server.others.in_progress, http_server.verdicts.in_progress) == (0, 0)


def test_health_is_answered_whoever_waits(http_server: HTTPServer) -> None:
    for path in (b"/keys/", b"/api/v1/me"):
        for _ in range(100):
            connect(http_server, PAGE.replace(b"/keys/", path))
    healthy = connect(http_server, PAGE.replace(b"/keys/", b"/healthz"))[1]
    assert healthy.statuses == [200]
    assert healthy.came.endswith(b'{"status": "ok"}')


def test_bodies_on_their_way_have_a_bound_in_all(http_server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "MAX_BUFFERED", 8)
    first, one = connect(http_server, HALF)
    _, two = connect(http_server, HALF)
    assert http_server.load().body_bytes == 6
    _, three = connect(http_server, HALF)
    work_off(http_server)
    assert (one.statuses, two.statuses, three.statuses) == ([], [], [503])
    assert b"retry-after: " in three.came
    assert http_server.load().body_bytes == 6
    first.connection_lost(None)
    assert http_server.load().body_bytes == 3


def test_bodies_of_pages_leave_room_for_machines(http_server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "MAX_BUFFERED", 4)
    page = HALF.replace(b"/oauth/token", b"/nowhere")
    pages = [connect(http_server, page)[1] for _ in range(2)]
    assert [end.statuses for end in pages] == [[], [503]]
    assert connect(http_server, HALF)[1].statuses == []


@pytest.mark.finding("H46")
def test_of_too_many_connections_the_one_goes_that_has_waited_longest(
    http_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "max_connections", 3)
    _, busy = connect(http_server, PAGE)
    http_server.now += 1
    _, oldest = connect(http_server, HALF)
    http_server.now += 1
    _, other = connect(http_server)
    http_server.now += 1
    _, new = connect(http_server)
    assert [end.done for end in (busy, oldest, other, new)] == [[], ["abort"], [], []]


def test_a_request_that_breaks_is_answered(http_server: HTTPServer, caplog: pytest.LogCaptureFixture) -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise RuntimeError("inside")

    http_server._django = broken
    _, end = connect(http_server, PAGE)
    work_off(http_server)
    assert end.statuses == [500]
    assert b"inside" not in end.came
    assert "a request failed" in caplog.text
