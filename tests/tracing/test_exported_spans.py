"""Spans of a started portal arrive at a collector; what was sent to the portal is in none of their bytes."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from keyportal import VERSION
from keyportal.process_environment import forget_environment
from tests.databases import portal_database
from tests.portal import Portal
from tests.tracing.collector import Collector, TracedPortal, attributes
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once

EMAIL = "traced@example.com"
PASSWORD = "pLaNtEd-password-of-a-developer"
TOKEN = "pLaNtEd-token-of-the-collector"
PLANTED = "pLaNtEd"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KEYS = {
    "db.collection.name",
    "db.operation.name",
    "db.system.name",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "keyportal.outcome",
    "keyportal.request_id",
}
"""Every attribute that there is."""
UNTRACED = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
"""The SDK's own variable: milliseconds between two exports."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector."""
    with Collector().running() as running:
        yield running


@pytest.fixture(scope="module")
def site(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal that sends it traces. It trusts itself as a proxy."""
    folder: Path = tmp_path_factory.mktemp("traced")
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TOKEN}",
        "OTEL_SERVICE_NAME": "keys of the tests",
        "KEYPORTAL_TRUSTED_PROXIES": "127.0.0.2",
        **UNTRACED,
    }
    with portal_database(folder) as database_url, TracedPortal(folder, database_url, **variables).running() as started:
        started.make_developer(EMAIL, PASSWORD)
        yield started


def server_span(collector: Collector, request_id: str) -> Span | None:
    """Return the span of a request, once it has arrived."""
    found = [span for span in collector.spans() if attributes(span).get("keyportal.request_id") == request_id]
    return found[0] if found else None


def arrived(collector: Collector, request_id: str) -> Span:
    span: Span | None = wait_until(lambda: server_span(collector, request_id))
    assert span is not None
    return span


def queries_of(collector: Collector, span: Span) -> list[Span]:
    return [one for one in collector.spans() if one.parent_span_id == span.span_id]


def tables_of(collector: Collector, span: Span) -> set[str]:
    return {attributes(query).get("db.collection.name", "") for query in queries_of(collector, span)}


def test_a_page_has_a_span_with_its_route_and_its_queries(site: Portal, collector: Collector) -> None:
    answer = site.get(
        f"/accounts/confirm-email/{PLANTED}-token/?next={PLANTED}", Cookie=f"sessionid={PLANTED}" + "a" * 36
    )
    span = arrived(collector, answer.headers["x-request-id"])
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.name.startswith("GET /accounts/confirm-email/")
    about = attributes(span)
    assert about["http.response.status_code"] == answer.status
    assert about["http.route"] == span.name.removeprefix("GET ")
    wait_until(lambda: "accounts_mailedlink" in tables_of(collector, span))
    assert "SELECT" in {attributes(query)["db.operation.name"] for query in queries_of(collector, span)}
    (resource, *_) = collector.resources()
    assert (resource["service.name"], resource["service.version"]) == ("keys of the tests", VERSION)


def test_a_verdict_that_reaches_a_thread_has_a_span_with_its_outcome(site: Portal, collector: Collector) -> None:
    _, secret = site.make_key(EMAIL)
    refused = site.get(f"/gateway/auth?scope={PLANTED}", Authorization=f"Bearer {secret}")
    bad = site.get("/gateway/auth", Authorization=f"Bearer {secret[:-1]}0")
    span = arrived(collector, refused.headers["x-request-id"])
    assert span.name == "GET /gateway/auth"
    assert refused.status == 403  # there is no such scope
    assert attributes(span)["keyportal.outcome"] == refused.headers["x-keyportal-code"] == "insufficient_scope"
    wait_until(lambda: "apikeys_keysecret" in tables_of(collector, span))
    accepted = site.get("/gateway/auth", Authorization=f"Bearer {site.make_key(EMAIL)[1]}")
    assert attributes(arrived(collector, accepted.headers["x-request-id"]))["keyportal.outcome"] == "accepted"
    assert attributes(arrived(collector, bad.headers["x-request-id"]))["http.response.status_code"] == 401


def get_from(source: str, site: Portal, path: str, headers: dict[str, str]) -> str:
    """GET from this address of the machine; return the request's id."""
    with closing(HTTPConnection("127.0.0.1", site.port, timeout=DEADLINE, source_address=(source, 0))) as line:
        line.request("GET", path, headers=headers)
        return str(line.getresponse().headers["x-request-id"])


@pytest.mark.parametrize(("source", "is_believed"), [("127.0.0.2", True), ("127.0.0.1", False)])
@pytest.mark.parametrize("path", ["/gateway/auth", "/docs/"])
def test_only_a_trusted_proxy_says_which_trace_it_is(
    site: Portal, collector: Collector, source: str, is_believed: bool, path: str
) -> None:
    sent = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": f"x={PLANTED}"}
    sent |= {"Authorization": "Bearer kp_live_nothing"} if "gateway" in path else {}
    span = arrived(collector, get_from(source, site, path, sent))
    assert (span.trace_id.hex() == TRACE) == (span.parent_span_id.hex() == PARENT) == is_believed
    assert not span.links
    assert not span.trace_state


def test_nothing_that_was_sent_is_in_any_byte(site: Portal, collector: Collector) -> None:
    key, secret = site.make_key(EMAIL, "--scope", "credentials:verify", "--restricted", name=f"{PLANTED} name")
    _, other = site.make_key(EMAIL)
    head = {"Authorization": f"Bearer {secret}", "X-Planted": PLANTED, "Cookie": f"a={PLANTED}", "User-Agent": PLANTED}
    body = json.dumps({"credential": other, "client_ip": "203.0.113.77"}).encode()
    answers = [
        site.request("POST", "/api/v1/verify", headers={**head, "Content-Type": "application/json"}, body=body),
        site.request(
            "POST", f"/api/v1/verify?{PLANTED}=1", headers={**head, "Content-Type": "application/json"}, body=body
        ),
        site.get(f"/api/v1/keys/{key}", **head),
        site.get(f"/{PLANTED}/{secret}?credential={other}", **head),
        site.request("PROPFIND", "/keys/", headers=head),
        site.request("POST", "/accounts/login/", headers=head, body=f"login={EMAIL}&password={PASSWORD}".encode()),
    ]
    for answer in answers:
        arrived(collector, answer.headers["x-request-id"])
    sent = b"".join(collector.bodies)
    for planted in (secret, other, key, PASSWORD, TOKEN, EMAIL, PLANTED, "203.0.113.77", "127.0.0.1"):
        assert planted.encode() not in sent, planted
    assert not re.search(rb"kp_(live|test)_|sec_|usr_|key_[0-9A-Za-z]{22}", sent)
    assert {name for span in collector.spans() for name in attributes(span)} <= KEYS
    assert not [span for span in collector.spans() if span.events]
    log = site.log.read_text()
    assert TOKEN not in log
    assert {headers["authorization"] for _, headers in collector.requests} == {f"Bearer {TOKEN}"}
    assert {path for path, _ in collector.requests} == {"/v1/traces"}


def test_what_authenticates_at_a_collector_leaves_the_environment() -> None:
    """Code that stores or prints the environment would expose it."""
    names = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS_FILE", "OTEL_EXPORTER_OTLP_LOGS_HEADERS")
    environ = {**dict.fromkeys(names, TOKEN), "OTEL_BSP_SCHEDULE_DELAY": "100"}
    forget_environment(environ)
    assert environ == {"OTEL_BSP_SCHEDULE_DELAY": "100"}
