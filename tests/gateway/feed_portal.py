"""What a portal tells those who judge by records, as a test wants it: what has changed, and what is broken."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from django.utils import timezone

from accounts.times import rfc3339
from tests.clients.stub import Received, Reply, as_json, problem, serving
from tests.clients.verifying.samples import OF_A_KEY
from tests.edges import Edge, running_edge
from tests.ports import free_port
from tests.services import serving as serving_api
from tests.waiting import wait_until
from tests.wire import chunked
from vault.secret_format import new_id, new_secret

IDENTITY: Final = "0123456789abcdef"
SERVICE_KEY: Final = new_secret("kp", "live")
PATH: Final = "/reports/1"
TAGS: Final[list[str]] = OF_A_KEY["tags"]
LOCATIONS: Final = """
    location /writers/ {
        access_by_lua_block { require("keyportal").protect { scope = "reports:read reports:write" } }
        proxy_pass http://api;
    }
    location /signed/ {
        access_by_lua_block { require("keyportal").protect { assertion = "https://reports.test" } }
        proxy_pass http://api;
    }
    location /proxied/ {
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Real-IP;
        access_by_lua_block { require("keyportal").protect() }
        proxy_pass http://api;
    }
    location /cancelled/ {
        lua_check_client_abort on;
        access_by_lua_block { require("keyportal").protect { scope = "reports:read" } }
        proxy_pass http://api;
    }
"""


class FeedPortal:
    """What the calls of a verifier are answered, and what it has sent."""

    def __init__(self) -> None:
        self.url = ""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Be a portal that works, whose one key is good. The feed goes on."""
        key = new_id("key")
        self.record: dict[str, Any] = {**OF_A_KEY, "id": key, "key": key, "client_id": key}
        self.more: dict[str, Any] = {}
        """More members of an answer, or other ones."""
        self.broken: dict[str, Reply] = {}
        """What a path is answered instead."""
        self.questions: list[dict[str, Any]] = []
        self.batches: list[dict[str, Any]] = []
        """What was stored."""
        self.sent: list[str] = []
        """The ids of all that arrived, stored or not."""
        self.service_key = SERVICE_KEY
        self.sends_chunks = False
        self.before_answer: Callable[[], object] = int

    number = 1
    polls = 0
    resets_from = 0
    """The cursors before this one are answered with a reset."""
    _changes: tuple[tuple[int, str], ...] = ()

    @property
    def cursor(self) -> str:
        """The place of the last change."""
        return f"{IDENTITY}.{self.number}.0.ab"

    @property
    def asked(self) -> int:
        """How often it was asked about a credential."""
        return len(self.questions)

    def change(self, *tags: str, **members: Any) -> None:
        """Change the record, tell of these tags, and return once that was heard."""
        self.record |= members
        self._changes += tuple((self.number + 1, tag) for tag in tags)
        self.number += 1
        self.wait_for_polls()

    def reset(self) -> None:
        """Have everything forgotten, and return once that was heard."""
        self.number += 1
        self.resets_from = self.number
        self.wait_for_polls()

    def wait_for_polls(self) -> None:
        """Return once three more polls have begun: what the first of them was answered, all workers have seen."""
        enough = self.polls + 3
        wait_until(lambda: self.polls >= enough)

    def answer(self, request: Received) -> Reply:
        """Answer a call, in chunks if it is to be."""
        reply = self._answer(request)
        if not self.sends_chunks:
            return reply
        pieces = [reply.body[:7], reply.body[7:8], reply.body[8:]]
        headers = {**reply.headers, "Transfer-Encoding": "chunked"}
        return reply._replace(body=chunked(*filter(None, pieces)), headers=headers)

    def _answer(self, request: Received) -> Reply:
        path, _, query = request.path.partition("?")
        self.polls += path.endswith("/changes")
        if path == "/api/v1/usage":
            self.sent.append(json.loads(request.body)["batch"])
        if path in self.broken:
            return self.broken[path]
        if request.headers["Authorization"] != f"Bearer {self.service_key}":
            return problem(401, "revoked")
        if path == "/api/v1/changes":
            return as_json({"cursor": self.cursor, "as_of_ms": 1, **self._news(query)})
        body = json.loads(request.body)
        if path == "/api/v1/usage":
            self.batches.append(body)
            return as_json({"is_new": True, "left_out": []}, 202)
        assert path == "/api/v1/verify"
        return self._verdict(body)

    def _news(self, query: str) -> dict[str, Any]:
        since = int(query.split(".")[1]) if query else 0
        if since < max(self.resets_from, 1):
            return {"reset": True}
        return {"tags": [tag for number, tag in self._changes if number > since]}

    def _verdict(self, question: dict[str, Any]) -> Reply:
        self.questions.append(question)
        record, cursor = dict(self.record), self.cursor
        self.before_answer()
        names = ("kind", "id", "name", "client_id", "owner", "environment", "scopes", "expires_at")
        said: dict[str, Any] = {"valid": True, "code": "ok", "credential": {name: record[name] for name in names}}
        if record["revoked_at"]:
            said = {"valid": False, "code": "revoked", "about": {"title": "x", "key": record["id"]}}
        elif not set(question.get("scopes", ())).issubset(record["scopes"]):
            said = {"valid": False, "code": "insufficient_scope", "about": {"title": "x", "key": record["id"]}}
        return as_json({**said, "record": record, "cursor": cursor, "now": rfc3339(timezone.now()), **self.more})


@contextmanager
def feed_portal() -> Iterator[FeedPortal]:
    """Serve until the block is left."""
    portal = FeedPortal()
    with serving(portal.answer) as stub:
        portal.url = stub.url
        yield portal


@pytest.fixture(scope="module")
def feed() -> Iterator[FeedPortal]:
    """A portal of which each test says what it answers."""
    with feed_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def running(feed: FeedPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An nginx with two workers that asks it."""
    folder: Path = tmp_path_factory.mktemp("edge")
    (folder / "keyportal.key").write_text(SERVICE_KEY)
    with serving_api() as (api, _), running_edge(folder, free_port(), feed.url, api, locations=LOCATIONS) as started:
        yield started


@pytest.fixture
def edge(feed: FeedPortal, running: Edge) -> Edge:
    """The same, with a portal that works and has been told of all calls before."""
    feed.begin_anew()
    feed.wait_for_polls()
    return running


@pytest.fixture
def secret() -> str:
    """A secret that nginx has not seen."""
    return new_secret("kp", "live")


def statuses(edge: Edge, secret: str) -> set[int]:
    """Return what some requests are answered, over connections of their own, so that both workers have some."""
    return {edge.status(PATH, secret) for _ in range(12)}
