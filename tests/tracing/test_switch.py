"""Tracing is off unless it is asked for, says what it lacks, and holds nothing up."""

import importlib.util
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import run_checks
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import get_current_span

from keyportal.options.kinds import UnsuitableError
from keyportal.options.tracing import GROUPS, headers_of
from keyportal.tracing import exporting, switch
from keyportal.tracing.context import parent_of
from keyportal.tracing.spans import described
from tests.databases import portal_database
from tests.portal import ROOT, Portal
from tests.tracing.collector import Collector, TracedPortal
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once

OPTIONS = {option.name: option for group in GROUPS.values() for option in group}
IMPORTED = """
import sys, keyportal.application
from keyportal.tracing.switch import start_tracing
print(start_tracing(), sorted(name for name in sys.modules if name.startswith(%r)))
"""
OURS = ("keyportal.tracing.", "opentelemetry.sdk.trace", "opentelemetry.exporter")
"""Other libraries import the rest where it is installed: redis does."""


def test_without_a_collector_nothing_that_traces_is_imported(tmp_path: Path) -> None:
    with portal_database(tmp_path) as database_url:
        environment = Portal(tmp_path, database_url)._whole_environment() | {"PYTHONPATH": ""}
        command = [sys.executable, "-c", IMPORTED % (OURS,)]
        asked = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout == "None ['keyportal.tracing.switch']\n"


def test_it_is_asked_for_by_a_collector_and_can_be_disabled(settings: Any) -> None:
    assert not switch.is_asked_for()
    settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "http://127.0.0.1:4318/v1/traces"
    assert switch.is_asked_for()
    settings.OTEL_SDK_DISABLED = True
    assert not switch.is_asked_for()
    assert switch.start_tracing() is None


@pytest.mark.parametrize("missing", [*switch.PACKAGES, "opentelemetry"])
def test_packages_that_are_missing_are_named_in_one_line_at_the_start(
    settings: Any, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    find = importlib.util.find_spec

    def find_others(name: str) -> Any:
        if missing == "opentelemetry" and name.startswith(missing):
            raise ModuleNotFoundError(name)
        return None if name == missing else find(name)

    monkeypatch.setattr(switch, "find_spec", find_others)
    assert not [found for found in run_checks(tags=["keyportal"]) if found.id == "keyportal.W045"]
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    (found,) = [found for found in run_checks(tags=["keyportal"]) if found.id == "keyportal.W045"]
    assert "requirements-tracing.txt" in str(found.hint)
    assert switch.start_tracing() is None


@pytest.mark.parametrize(
    "wrong",
    [
        "127.0.0.1:4318",
        "grpc://127.0.0.1:4317",
        "http://",
        "http://user:pLaNtEd@host:4318",
        "http://host:4318/?key=pLaNtEd",
        "http://ho st:4318",
        "http://host:port",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_shown(wrong: str) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        with pytest.raises(UnsuitableError) as refused:
            OPTIONS[name].kind.parse(wrong)
        assert "pLaNtEd" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "headers"),
    [
        ("authorization=Bearer%20abc", {"authorization": "Bearer abc"}),
        ("A=1, b = 2 ,", {"a": "1", "b": "2"}),
        ("x-key=abc==", {"x-key": "abc=="}),
        ("authorization=Bearer abc", {"authorization": "Bearer abc"}),
        ("", {}),
    ],
)
def test_headers_are_read_as_the_standard_writes_them(written: str, headers: dict[str, str]) -> None:
    assert headers_of(written) == headers


@pytest.mark.parametrize("wrong", ["pLaNtEd", "=pLaNtEd", "a b=pLaNtEd", "a=pLaNtEd%0d%0ax: y", "a=pLaNtEd%C3%A4"])
def test_headers_that_are_none_are_refused_without_being_shown(wrong: str) -> None:
    with pytest.raises(UnsuitableError) as refused:
        OPTIONS["OTEL_EXPORTER_OTLP_HEADERS"].kind.parse(wrong)
    assert "pLaNtEd" not in str(refused.value)


def test_what_authenticates_is_a_secret() -> None:
    assert {name for name, option in OPTIONS.items() if option.secret} == {
        name for name in OPTIONS if name.endswith("HEADERS")
    }


@pytest.mark.parametrize(
    ("name", "root", "follows"),
    [
        ("always_on", ALWAYS_ON, False),
        ("always_off", ALWAYS_OFF, False),
        ("parentbased_always_on", ALWAYS_ON, True),
        ("parentbased_always_off", ALWAYS_OFF, True),
        ("traceidratio", TraceIdRatioBased(0.25), False),
        ("parentbased_traceidratio", TraceIdRatioBased(0.25), True),
    ],
)
def test_the_sampler_is_the_one_that_is_named(settings: Any, name: str, root: Any, follows: bool) -> None:
    settings.OTEL_TRACES_SAMPLER, settings.OTEL_TRACES_SAMPLER_ARG = name, 0.25
    wanted = ParentBased(root) if follows else root
    assert exporting.sampler().get_description() == wanted.get_description()


@pytest.mark.parametrize(
    ("of_all", "of_traces", "endpoint"),
    [
        ("http://a:4318", "", "http://a:4318/v1/traces"),
        ("http://a:4318/otlp/", "", "http://a:4318/otlp/v1/traces"),
        ("http://a:4318", "https://b/x", "https://b/x"),
    ],
)
def test_spans_go_where_the_standard_says(settings: Any, of_all: str, of_traces: str, endpoint: str) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT, settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = of_all, of_traces
    assert exporting.exporter()._endpoint == endpoint


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("traceparent", "is_trusted", "is_taken"),
    [
        (PARENT, True, True),
        (PARENT, False, False),
        (None, True, False),
        (PARENT.replace("00-", "01-", 1) + "-more", True, True),  # a later version may have more
        (PARENT + "-more", True, False),
        (PARENT.replace("00-", "ff-", 1), True, False),
        (PARENT.upper(), True, False),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", True, False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01", True, False),
        (f"{PARENT},{PARENT}", True, False),
        ("x" * 100_000, True, False),
    ],
)
def test_a_context_is_taken_in_its_one_form(traceparent: str | None, is_trusted: bool, is_taken: bool) -> None:
    context = get_current_span(parent_of(traceparent, is_trusted=is_trusted)).get_span_context()
    assert context.is_valid == is_taken
    assert not context.trace_state


@pytest.mark.parametrize(
    ("sql", "described_as"),
    [
        ('SELECT "a" FROM "apikeys_apikey" WHERE "id" = %s', ("SELECT", "apikeys_apikey")),
        ('SELECT (SELECT x FROM "inner" WHERE (1)) FROM "outer"', ("SELECT", "outer")),
        ('UPDATE "accounts_user" SET x = 1', ("UPDATE", "accounts_user")),
        ('INSERT INTO "audit_event" (a) VALUES (%s)', ("INSERT", "audit_event")),
        ("pLaNtEd", ("OTHER", "")),
        ("", ("OTHER", "")),
    ],
)
def test_a_query_is_described_by_a_word_and_a_table(sql: str, described_as: tuple[str, str]) -> None:
    assert described(sql) == described_as


def test_a_collector_that_is_away_or_hangs_holds_nothing_up(tmp_path: Path) -> None:
    collector = Collector()
    collector.hangs.set()
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with portal_database(tmp_path) as database_url:
        with TracedPortal(tmp_path, database_url, **variables).running(workers=1) as site:
            assert site.get("/docs/").status == 200
            wait_until(lambda: "traces are lost" in site.log.read_text())
            assert collector.url not in site.log.read_text()
            with collector.running():
                wait_until(lambda: site.get("/docs/").status == 200 and collector.bodies)
                for _ in range(20):
                    assert site.get("/docs/").status == 200
                site.stop()
                assert not collector.release.is_set()  # it held its request all the time


def test_the_end_of_a_worker_waits_for_its_last_spans_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "AT_EXIT", 0.05)
    asked, answers = threading.Event(), threading.Event()

    def shutdown() -> None:
        asked.set()
        answers.wait()

    ending = threading.Thread(target=exporting.stop, args=(SimpleNamespace(shutdown=shutdown),), daemon=True)
    ending.start()
    ending.join(DEADLINE)
    assert not ending.is_alive()
    assert asked.is_set()
    answers.set()
