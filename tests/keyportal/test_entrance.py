"""What waits for whom: deadlines, places and room, and what is answered without a thread."""

from typing import Any

import pytest
from pytest_django import Settings

from keyportal.http_server import bounds
from keyportal.http_server import server as application
from keyportal.http_server.server import Entrance
from tests.entrance import HALF, PAGE, connect, entrance, work_off

__all__ = ["entrance"]  # a fixture

pytestmark = pytest.mark.once


def test_who_is_late_is_told_and_what_has_not_begun_never_does(entrance: Entrance) -> None:
    late = [connect(entrance, PAGE) for _ in range(6)]
    assert entrance.others.inside == 6
    entrance.tick(1000.0 + entrance.within - 1)
    assert [end.statuses for _, end in late] == [[]] * 6
    entrance.tick(1000.0 + entrance.within)
    assert [end.statuses for _, end in late] == [[503]] * 6
    assert (entrance.load().late, entrance.load().others_inside, entrance.load().connections) == (6, 6, 6)
    assert b"retry-after: 2" in late[0][1].came
    asked: list[str] = []
    entrance._django = lambda environ, start_response: asked.append(environ["PATH_INFO"]) or []  # type: ignore[func-returns-value]
    work_off(entrance)
    assert asked == []
    assert [end.statuses for _, end in late] == [[503]] * 6


@pytest.mark.parametrize("path", [b"/api/v1/me", b"/gateway/auth", b"/api/v1/verify"])
def test_a_verdict_that_waits_is_given_up_sooner_than_a_page(entrance: Entrance, path: bytes) -> None:
    for _ in range(20):  # they wait in every thread of verdicts
        connect(entrance, PAGE.replace(b"/keys/", b"/api/v1/me"))
    waiting = connect(entrance, PAGE.replace(b"/keys/", path))[1]
    entrance.tick(1000.0 + entrance.verdict_within)
    assert waiting.statuses == [503]
    assert entrance.verdict_within < entrance.within


def test_where_no_place_is_left_the_answer_is_503_at_once(entrance: Entrance, settings: Settings) -> None:
    most = settings.KEYPORTAL_REQUEST_THREADS + application.QUEUE
    waiting = [connect(entrance, PAGE)[1] for _ in range(most)]
    refused = connect(entrance, PAGE)[1]
    assert (refused.statuses, entrance.load().others_refused, entrance.load().late) == ([503], 1, 0)
    assert b"<h1>The portal is busy</h1>" in refused.came
    machine = connect(entrance, PAGE.replace(b"/keys/", b"/api/v1/tokens"))[1]
    assert machine.statuses == [503]
    assert b'"code": "unavailable"' in machine.came
    verdict = connect(entrance, PAGE.replace(b"/keys/", b"/api/v1/me"))[1]
    work_off(entrance)
    assert [end.statuses for end in waiting] == [[200]] * most
    assert verdict.statuses == [200]


def test_who_is_too_slow_takes_no_thread(entrance: Entrance) -> None:
    page = HALF.replace(b"/oauth/token", b"/accounts/login/")
    slow = [connect(entrance, half)[1] for half in (page, HALF)]
    entrance.tick(entrance.now + bounds.BODY_WITHIN)
    assert [end.statuses for end in slow] == [[408], [408]]
    assert (entrance.others.inside, entrance.verdicts.inside) == (0, 0)


def test_health_is_answered_whoever_waits(entrance: Entrance) -> None:
    for path in (b"/keys/", b"/api/v1/me"):
        for _ in range(100):
            connect(entrance, PAGE.replace(b"/keys/", path))
    healthy = connect(entrance, PAGE.replace(b"/keys/", b"/healthz"))[1]
    assert healthy.statuses == [200]
    assert healthy.came.endswith(b'{"status": "ok"}')


def test_bodies_on_their_way_have_a_bound_in_all(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "OF_ALL", 8)
    first, one = connect(entrance, HALF)
    _, two = connect(entrance, HALF)
    assert entrance.load().body_bytes == 6
    _, three = connect(entrance, HALF)
    work_off(entrance)
    assert (one.statuses, two.statuses, three.statuses) == ([], [], [503])
    assert b"retry-after: " in three.came
    assert entrance.load().body_bytes == 6
    first.connection_lost(None)
    assert entrance.load().body_bytes == 3


def test_bodies_of_pages_leave_the_room_of_machines_alone(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "OF_ALL", 4)
    page = HALF.replace(b"/oauth/token", b"/nowhere")
    pages = [connect(entrance, page)[1] for _ in range(2)]
    assert [end.statuses for end in pages] == [[], [503]]
    assert connect(entrance, HALF)[1].statuses == []


def test_of_too_many_connections_the_one_goes_that_has_waited_longest(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "most", 3)
    _, busy = connect(entrance, PAGE)
    entrance.now += 1
    _, oldest = connect(entrance, HALF)
    entrance.now += 1
    _, other = connect(entrance)
    entrance.now += 1
    _, new = connect(entrance)
    assert [end.done for end in (busy, oldest, other, new)] == [[], ["abort"], [], []]


def test_a_request_that_breaks_is_answered_all_the_same(entrance: Entrance, caplog: pytest.LogCaptureFixture) -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise RuntimeError("inside")

    entrance._django = broken
    _, end = connect(entrance, PAGE)
    work_off(entrance)
    assert end.statuses == [500]
    assert b"inside" not in end.came
    assert "a request failed" in caplog.text
