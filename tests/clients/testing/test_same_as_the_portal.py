"""The portal in memory answers as the real one does: the same questions to both, and clients/verdicts.json."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest

from keyportal_client.testing.answering import SCOPE, answer
from keyportal_client.testing.installed import in_memory_portal
from keyportal_client.testing.records import new_record
from keyportal_client.testing.state import State
from keyportal_client.times import time_of
from tests.clients.verifying.samples import VERDICTS
from tests.portal import Portal
from vault.secret_format import new_secret

pytestmark = pytest.mark.once

UNLIKE = re.compile(
    r"(?P<id>(key|sec|usr|tok|asr)_[0-9A-Za-z]{22})|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)|(?P<at>https?://[a-z0-9.:]+)"
    r"|(?P<cursor>[0-9a-f]{16}\.\d+\.\d+\.[0-9a-f-]+)|(?P<jws>eyJ[\w-]+\.[\w-]+\.[\w-]+)|(?P<realm>realm=\"[^\"]*\")"
)
UNEQUAL = ("x", "y", "kid", "as_of_ms")
HEADERS = ("Content-Type", "Cache-Control", "WWW-Authenticate")


class Side(NamedTuple):
    """A portal, a service's key, and keys in several states: their secrets and ids."""

    url: str
    service: str
    keys: dict[str, str]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def real(portal: Portal) -> Side:
    """A started portal."""
    portal.make_developer("parity@example.com")
    asks = ("--scope", "credentials:verify", "--restricted")
    service = portal.make_key("parity@example.com", *asks, name="the service")[1]
    soon = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = {
        "good": portal.make_key("parity@example.com", "--scope", "self:rotate", "--expires", soon),
        "other": portal.make_key("parity@example.com", "--environment", "test"),
        "paused": portal.make_key("parity@example.com"),
        "revoked": portal.make_key("parity@example.com"),
    }
    portal.manage("pausekey", made["paused"][0], "--reason", "because")
    portal.manage("revokekey", made["revoked"][0], "--reason", "because")
    ids, keys = ({name: each[place] for name, each in made.items()} for place in (0, 1))
    return Side(portal.url, service, keys, ids)


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Side]:
    """The portal in memory, with the same keys."""
    with in_memory_portal() as portal:
        good = portal.api_key(["self:rotate"], expires_at=timedelta(days=365))
        other, paused, revoked = portal.api_key(environment="test"), portal.api_key(), portal.api_key()
        paused.pause("because")
        revoked.revoke("because")
        keys = {"good": good, "other": other, "paused": paused, "revoked": revoked}
        secrets = {name: key.secret for name, key in keys.items()}
        yield Side(portal.url, portal.key, secrets, {name: key.id for name, key in keys.items()})


Question = Callable[[httpx.Client, Side], httpx.Response]


def verify(key: str = "", **members: Any) -> Question:
    """Return the question about a key, or with whatever members."""

    def ask(client: httpx.Client, side: Side) -> httpx.Response:
        one = {"credential": side.keys[key]} if key else {}
        return client.post("/api/v1/verify", json={**one, **members})

    return ask


def changes(since: str | None = None) -> Question:
    """Return a poll; with the first cursor, unless another is named."""

    def ask(client: httpx.Client, side: Side) -> httpx.Response:
        cursor = since or client.get("/api/v1/changes").json()["cursor"]
        return client.get("/api/v1/changes", params={"since": cursor})

    return ask


def usage(batch: str = "batch-0123456789abcdef", **changed: Any) -> Question:
    """Return a report of calls with the good key."""

    def ask(client: httpx.Client, side: Side) -> httpx.Response:
        record = client.post("/api/v1/verify", json={"credential": side.keys["good"], "record": True}).json()["record"]
        hour = datetime.now(UTC).strftime("%Y-%m-%dT%H:00:00Z")
        calls = {
            "credential": record["id"],
            "secret": record["secret_id"],
            "entry_point": "reports",
            "outcome": "accepted",
            "hour": hour,
            "count": 3,
            "addresses": ["192.0.2.1"],
        }
        entry = {name: value for name, value in {**calls, **changed}.items() if value is not ...}
        return client.post("/api/v1/usage", json={"batch": batch, "calls": [entry]})

    return ask


def twice(ask: Question) -> Question:
    """Return the same question again."""

    def again(client: httpx.Client, side: Side) -> httpx.Response:
        ask(client, side)
        return ask(client, side)

    return again


def send(method: str, path: str, **how: Any) -> Question:
    """Return any request."""
    return lambda client, side: client.request(method, path, **how)


def several(client: httpx.Client, side: Side) -> httpx.Response:
    """Ask about several at once."""
    credentials = [side.keys["good"], side.keys["revoked"], "x", new_secret("kp", "live")]
    return client.post("/api/v1/verify", json={"credentials": credentials, "record": True})


def with_key(key: str, ask: Question) -> Question:
    """Return a question of a service with another key."""

    def other(client: httpx.Client, side: Side) -> httpx.Response:
        with asking(side, side.keys[key]) as client_of_another:
            return ask(client_of_another, side)

    return other


def exchange(key: str = "good", secret: str = "", **form: str) -> Question:
    """Return the exchange of a key for a token; with another secret, if one is named."""

    def ask(client: httpx.Client, side: Side) -> httpx.Response:
        login = (side.ids[key], secret or side.keys[key])
        return client.post("/oauth/token", data={"grant_type": "client_credentials", **form}, auth=login)

    return ask


def in_form(client: httpx.Client, side: Side) -> httpx.Response:
    """Exchange a key that is sent in the form."""
    form = {"grant_type": "client_credentials", "client_id": side.ids["good"], "client_secret": side.keys["good"]}
    return httpx.post(f"{side.url}/oauth/token", data=form, trust_env=False)


def of_token(**members: Any) -> Question:
    """Return the question about a token that the good key is exchanged for."""

    def ask(client: httpx.Client, side: Side) -> httpx.Response:
        token = exchange(scope="self:rotate")(client, side).json()["access_token"]
        return client.post("/api/v1/verify", json={"credential": token, **members})

    return ask


def me(name: str = "") -> Question:
    """Return the question who one is, with a key or, without a name, with a token."""

    def ask(client: httpx.Client, side: Side) -> httpx.Response:
        text = side.keys[name] if name else exchange()(client, side).json()["access_token"]
        return client.get("/api/v1/me", headers={"Authorization": f"Bearer {text}"})

    return ask


QUESTIONS: dict[str, Question] = {
    "a good key": verify("good"),
    "a good key with its record": verify("good", record=True, client_ip="192.0.2.7"),
    "a key of the other environment": verify("other", environment="live", record=True),
    "a paused key": verify("paused", record=True),
    "a revoked key": verify("revoked", record=True),
    "a scope that it has": verify("good", scopes=["self:rotate"]),
    "a scope that it lacks": verify("good", scope="self:rotate keys:write", record=True),
    "a scope that is a secret": verify("good", scopes=["kp_live_x", "keys:write"]),
    "an unknown key": verify(credential=new_secret("kp", "live"), record=True),
    "nonsense": verify(credential="x", record=False),
    "several": several,
    "a signed identity": verify("good", assertion="https://reports.example.com"),
    "a signed identity of nobody": verify("revoked", assertion="https://reports.example.com"),
    "no credential": verify(),
    "both forms": verify("good", credentials=["x"]),
    "an unknown member": verify("good", zone="x"),
    "what is no member": verify("good", **{"a b/c": 1}),
    "members of the wrong kind": verify(
        credential=5, scopes="a", environment="x", client_ip="here", record=1, audience="", assertion=[]
    ),
    "lists of the wrong kind": verify(credentials=[], scope=5),
    "names of the wrong kind": verify("good", scopes=["a", "", 5]),
    "null": verify("good", scopes=None, environment=None, record=None),
    "no object": send("POST", "/api/v1/verify", json=["x"]),
    "no JSON": send("POST", "/api/v1/verify", content=b"{", headers={"Content-Type": "application/json"}),
    "another type": send("POST", "/api/v1/verify", content=b"x=y", headers={"Content-Type": "text/plain"}),
    "without a key": send("POST", "/api/v1/verify", json={}, headers={"Authorization": ""}),
    "with another scheme": send("GET", "/api/v1/changes", headers={"Authorization": "Basic eDp5"}),
    "with a malformed header": send("GET", "/api/v1/changes", headers={"Authorization": "Bearer"}),
    "with a key that is unknown": send("GET", "/api/v1/changes", headers={"Authorization": "Bearer x"}),
    "with a key that may not ask": with_key("good", verify("good")),
    "with a revoked key": with_key("revoked", verify("good")),
    "a first poll": send("GET", "/api/v1/changes"),
    "a poll": changes(),
    "a poll from elsewhere": changes("0123456789abcdef.4.0.ab"),
    "a poll from nowhere": changes("nonsense"),
    "a report": usage(),
    "a report that is sent twice": twice(usage("batch-0123456789abcdeg")),
    "a report of the unknown": usage("batch-0123456789abcdeh", credential="key_" + "0" * 22, secret=...),
    "a report of yesterday": usage("batch-0123456789abcdei", hour="2026-01-01T00:00:00Z"),
    "a report that is wrong": usage("short", count=0, outcome="x", hour="now", addresses=["x"], entry_point="X"),
    "a report that lacks something": usage("batch-0123456789abcdej", count=..., hour=...),
    "a token": exchange(),
    "a token with a scope": exchange(scope="self:rotate"),
    "a token with a scope that the key lacks": exchange(scope="keys:write"),
    "a token for a key in the form": in_form,
    "a token for a paused key": exchange("paused"),
    "a token for a wrong secret": exchange(secret=new_secret("kp", "live")),
    "a token of another grant": exchange(grant_type="password"),
    "a token without a grant": send("POST", "/oauth/token", data={"x": "y"}),
    "a token without a client": send("POST", "/oauth/token", data={"grant_type": "client_credentials"}),
    "verification of a token": of_token(record=True),
    "verification of a token at another service": of_token(audience="https://elsewhere.example", record=True),
    "who a key is": me("good"),
    "who a token is": me(),
    "who a revoked key is": me("revoked"),
    "the published keys": send("GET", "/.well-known/jwks.json"),
}


def asking(side: Side, key: str) -> httpx.Client:
    """Return a client that sends a service's key."""
    return httpx.Client(base_url=side.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


def outline(value: Any) -> Any:
    """Return JSON without what is another at each portal. Tags are a set; a token without a log-in has none of one."""
    if isinstance(value, dict):
        alike = {name: outline(each) for name, each in value.items() if name not in UNEQUAL}
        return alike | ({"tags": sorted(alike["tags"])} if "tags" in alike else {})
    if isinstance(value, list):
        return [outline(each) for each in value]
    if isinstance(value, str):
        return UNLIKE.sub(lambda found: f"<{found.lastgroup}>", value)
    return value


def answered(ask: Question, side: Side) -> dict[str, Any]:
    """Return what is answered, in outline."""
    with asking(side, side.service) as client:
        response = ask(client, side)
    found = {name: outline(response.headers.get(name)) for name in HEADERS}
    body = outline(response.json())
    if isinstance(body.get("errors"), list):
        body["errors"].sort(key=lambda error: error["pointer"])
    return {"status": response.status_code, "body": body, **found}


@pytest.mark.parametrize("name", QUESTIONS)
def test_both_answer_the_same(real: Side, in_memory: Side, name: str) -> None:
    assert answered(QUESTIONS[name], in_memory) == answered(QUESTIONS[name], real)


def test_what_changes_is_announced_by_the_same_tag(portal: Portal, real: Side) -> None:
    key, secret = portal.make_key("parity@example.com")
    with asking(real, real.service) as client:
        cursor = client.get("/api/v1/changes").json()["cursor"]
        record = client.post("/api/v1/verify", json={"credential": secret, "record": True}).json()["record"]
        portal.revoke_key(key)
        told = client.get("/api/v1/changes", params={"since": cursor}).json()
    with in_memory_portal() as other, asking(Side(other.url, other.key, {}, {}), other.key) as client:
        made = other.api_key()
        cursor = client.get("/api/v1/changes").json()["cursor"]
        made.revoke()
        same = client.get("/api/v1/changes", params={"since": cursor}).json()
    assert record["tags"][0] in told["tags"]
    assert outline(same)["tags"] == outline([record["tags"][0]])


def test_every_case_is_judged_as_the_portal_does() -> None:
    at = [0.0]
    state = State("https://keys.example.com", now=lambda: at[0])
    service = {"Authorization": "Bearer service"}
    state.put("service", new_record(name="", scopes=[SCOPE], environment="live", networks=(), expires_at=None))
    for name, record in VERDICTS["records"].items():
        state.put(name, record)
    for case in VERDICTS["cases"]:
        at[0] = time_of(case["at"]).timestamp()
        asked = {name: case[name] for name in ("scopes", "environment", "client_ip") if case[name]}
        body = {"credential": case["record"], **asked}
        request = httpx.Request("POST", f"{state.url}/api/v1/verify", json=body, headers=service)
        found = answer(state, request).body
        about = {name: value for name, value in found.get("about", {}).items() if name not in ("title", "scope")}
        assert (found["code"], about) == (case["code"], case["about"]), case
