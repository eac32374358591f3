"""Whether requests are traced. Imports nothing of OpenTelemetry unless they are."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol

from django.conf import settings

PACKAGES: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


class Tracer(Protocol):
    """What makes the spans of a worker (`keyportal.tracing.spans`)."""

    def traced_application(self, application: Any) -> Any:
        """Return a WSGI application with a span for each request."""

    def traced_verdict(self, verdict: Any) -> Any:
        """Return the function that answers a verdict in a thread, with a span for each."""


def is_asked_for() -> bool:
    """Return whether the settings name a collector, and do not disable tracing."""
    named = settings.OTEL_EXPORTER_OTLP_ENDPOINT or settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
    return bool(named) and not settings.OTEL_SDK_DISABLED


def are_packages_there() -> bool:
    """Return whether the packages of `requirements-tracing.txt` are installed."""
    try:
        return all(find_spec(name) is not None for name in PACKAGES)
    except ModuleNotFoundError:  # a package above it
        return False


def start_tracing() -> Tracer | None:
    """Start exporting, in a worker; return what makes its spans, or None if nothing is traced."""
    if not is_asked_for() or not are_packages_there():
        return None
    tracer: Tracer = import_module("keyportal.tracing.exporting").start()
    return tracer
