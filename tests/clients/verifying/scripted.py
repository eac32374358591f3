"""What a portal answers to verifiers, over real connections, as a test says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from keyportal_client import AsyncVerifier, Verifier
from keyportal_client.verifying import clock as clock_of_the_client
from keyportal_client.verifying import feed
from tests.clients.stub import Received, Reply, Stub, as_json, problem, serving
from tests.clients.verifying.clock import Clock
from tests.clients.verifying.samples import NOW, OF_A_KEY, a_secret
from tests.waiting import wait_until

SERVICE_KEY: Final = "kp_live_plantedServiceKey"
VERIFY: Final = "/api/v1/verify"
CHANGES: Final = "/api/v1/changes"
USAGE: Final = "/api/v1/usage"
JWKS: Final = "/.well-known/jwks.json"
REVOKED: Final = {"revoked_at": NOW, "revoked_reason": "lost"}


class ScriptedPortal:
    """A portal with some records. `instead` has what it answers at a path instead of what it would."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []
        self.public_keys: list[dict[str, str]] = []
        self.service_key = SERVICE_KEY
        self.instead: dict[str, Reply] = {}
        self.asked: list[dict[str, Any]] = []
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.stub: Stub

    @property
    def url(self) -> str:
        return self.stub.url

    @property
    def cursor(self) -> str:
        return f"0123456789abcdef.{len(self.changes)}.0.ab"

    def new_key(self, **changed: Any) -> str:
        """Return the secret of a new key."""
        secret = a_secret()
        self.records[secret] = OF_A_KEY | changed
        return secret

    def change(self, secret: str, **changed: Any) -> None:
        """Change a key, and tell of it."""
        self.records[secret] |= changed
        self.changes.append(f"key:{self.records[secret]['id']}")

    def everywhere(self, reply: Reply) -> None:
        """Answer this, whatever is asked."""
        self.instead = dict.fromkeys((VERIFY, CHANGES, USAGE), reply)

    def counted(self) -> dict[str, int]:
        """Return how many calls were reported, by outcome."""
        counts: dict[str, int] = {}
        for calls in [calls for batch in self.batches.values() for calls in batch]:
            counts[calls["outcome"]] = counts.get(calls["outcome"], 0) + calls["count"]
        return counts

    def requests(self, path: str) -> int:
        """Return how many requests there were for a path."""
        return sum(request.path == path for request in self.stub.received)

    def polls(self) -> int:
        return sum(request.path.startswith(CHANGES) for request in self.stub.received)

    def __call__(self, request: Received) -> Reply:
        path, _, query = request.path.partition("?")
        if path in self.instead:
            return self.instead[path]
        if path == JWKS:
            return as_json({"keys": self.public_keys})
        if request.headers.get("Authorization") != f"Bearer {self.service_key}":
            return problem(401, "invalid_token")
        if path == VERIFY:
            return self._verify(json.loads(request.body))
        if path == CHANGES:
            return as_json(self._changes(query.removeprefix("since=")))
        if path != USAGE:
            return problem(404, "not_found")
        batch = json.loads(request.body)
        is_new = self.batches.setdefault(batch["batch"], batch["calls"]) is batch["calls"]
        return as_json({"is_new": is_new, "left_out": []}, 202)

    def _verify(self, body: dict[str, Any]) -> Reply:
        self.asked.append(body)
        record = self.records.get(body["credential"])
        said: dict[str, Any] = {"valid": False, "code": "invalid_token", "about": {"title": "Unknown"}}
        if record is not None and record["revoked_at"]:
            said = {"valid": False, "code": "revoked", "about": {"title": "Over", "key": record["id"]}}
        elif record is not None:
            names = ("kind", "id", "name", "client_id", "owner", "environment", "scopes", "expires_at")
            credential = {name: record[name] for name in names}
            said = {"valid": True, "code": "ok", "credential": credential, "owner": record["owner"]}
        return as_json({**said, "record": record, "cursor": self.cursor, "now": NOW})

    def _changes(self, since: str) -> dict[str, Any]:
        said: dict[str, Any] = {"cursor": self.cursor, "as_of_ms": 1}
        return {**said, "tags": self.changes[int(since.split(".")[1]) :]} if since else {**said, "reset": True}


@contextmanager
def scripted_portal() -> Iterator[ScriptedPortal]:
    """Serve as a portal until the block is left."""
    portal = ScriptedPortal()
    with serving(portal, keeps=True) as portal.stub:
        yield portal


@pytest.fixture
def scripted() -> Iterator[ScriptedPortal]:
    """A portal that does what a test says."""
    with scripted_portal() as portal:
        yield portal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of each verifier that is made, and feeds that poll often: nothing that is judged depends on it."""
    clock = Clock()
    monkeypatch.setattr(feed, "POLL_EVERY", 0.02)
    monkeypatch.setattr(feed, "IDLE_EVERY", 0.04)
    monkeypatch.setattr(feed, "SLOWEST", 0.04)
    monkeypatch.setattr(clock_of_the_client, "now", clock)
    return clock


@pytest.fixture
def verifier(scripted: ScriptedPortal, clock: Clock) -> Iterator[Verifier]:
    """A verifier of that portal."""
    with Verifier(scripted.url, key=SERVICE_KEY, service="reports", timeout=30.0) as verifier:
        yield verifier


def warm(verifier: Verifier | AsyncVerifier) -> None:
    """Wait until it judges by records."""
    wait_until(lambda: verifier._state.verdicts.store.is_current)


def has_heard(verifier: Verifier | AsyncVerifier, portal: ScriptedPortal) -> None:
    """Wait until it has heard of all changes."""
    store = verifier._state.verdicts.store
    wait_until(lambda: store.cursor is not None and store.cursor.text == portal.cursor)
