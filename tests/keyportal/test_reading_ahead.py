"""How far is read of a client that sends ahead, and of one that takes no answers."""

from typing import Any

import pytest

from keyportal.http_server import bounds
from keyportal.http_server.connection import Connection
from keyportal.http_server.server import HTTPServer
from tests.http_server import HEALTH, PAGE, OtherEnd, connect, go_round, http_server, work_off

__all__ = ["http_server"]  # a fixture

pytestmark = [pytest.mark.once, pytest.mark.sweep]


def test_a_client_that_takes_no_answer_is_left(http_server: HTTPServer) -> None:
    line, end = connect(http_server)
    line.pause_writing()
    http_server.tick(1000.0 + bounds.READ_WITHIN - 1)
    assert end.done == ["pause_reading"]
    line.resume_writing()
    http_server.tick(1000.0 + bounds.READ_WITHIN)
    assert end.done == ["pause_reading", "resume_reading"]
    line.pause_writing()
    http_server.tick(1000.0 + 3 * bounds.READ_WITHIN)
    assert end.done[-1] == "abort"


def test_nothing_is_read_ahead_without_end(http_server: HTTPServer) -> None:
    line, end = connect(http_server, PAGE * 1000)
    assert end.done == ["pause_reading"]
    assert http_server.others.in_progress <= bounds.MAX_PIPELINED + bounds.SLICE // len(PAGE)
    while len(end.statuses) < 1000:
        work_off(http_server)
    assert end.statuses == [200] * 1000
    assert end.done[-1] == "resume_reading"
    line.expire()
    assert end.done[-1] == "close"
    line.expire()  # what it said last is not taken
    assert end.done[-1] == "abort"


class SlowReader(OtherEnd):
    """A client that takes no answer until it is told to: what is written to it waits."""

    def __init__(self, line: Connection) -> None:
        super().__init__()
        self.line = line
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        super().write(data)
        self.written.append(bytes(data))
        if not self.line.is_stalled:
            self.line.pause_writing()

    def take(self) -> None:
        self.line.resume_writing()


def slow_reader(http_server: HTTPServer) -> tuple[Connection, SlowReader]:
    line = http_server()
    end = SlowReader(line)
    line.connection_made(end)
    return line, end


@pytest.mark.finding("H8")
def test_a_client_that_takes_no_answer_is_not_read_on(http_server: HTTPServer) -> None:
    line, end = slow_reader(http_server)
    line.data_received(HEALTH * 1000)
    go_round(http_server)
    in_a_slice = bounds.SLICE // len(HEALTH) + 1
    assert len(end.statuses) <= in_a_slice
    for _ in range(1000):
        end.take()
        go_round(http_server, 1)
    assert end.statuses == [200] * 1000
    assert end.done[-1] == "resume_reading" or line.is_stalled


def test_a_slow_client_that_had_sent_ahead_is_read_on(http_server: HTTPServer) -> None:
    """Both are over at different times: that too many are waiting, and that nothing is taken."""
    line, end = connect(http_server, PAGE * 60)
    line.pause_writing()
    work_off(http_server)
    assert 0 < len(end.statuses) < 60
    line.resume_writing()
    work_off(http_server)
    go_round(http_server)
    work_off(http_server)
    assert end.statuses == [200] * 60
    assert end.done[-1] == "resume_reading"


def test_others_have_their_turn_while_much_is_read_of_one(http_server: HTTPServer) -> None:
    _, end = connect(http_server, HEALTH * 10_000)
    assert 0 < len(end.statuses) <= bounds.SLICES * (bounds.SLICE // len(HEALTH) + 1)
    go_round(http_server)
    assert len(end.statuses) == 10_000


def test_what_was_sent_ahead_of_the_end_is_answered(http_server: HTTPServer) -> None:
    line, end = connect(http_server, HEALTH * 10_000)
    assert line.eof_received()
    go_round(http_server)
    assert len(end.statuses) == 10_000
    assert end.done[-1] == "close"
