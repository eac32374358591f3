"""Export spans to the collector, from a thread of each worker that no request waits for."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.util import Finalize
from typing import Final

from django.conf import settings
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from typing_extensions import override

from credentials.runtime.quiet import Quiet
from keyportal import VERSION
from keyportal.options.tracing import headers_of
from keyportal.tracing.spans import Tracer

logger = logging.getLogger(__name__)

AT_EXIT: Final = 1.0
"""Seconds that the end of a worker waits for its last spans: a collector that hangs must not hold it up."""
TRACES: Final = "/v1/traces"
ROOTS: Final[Mapping[str, Callable[[], Sampler]]] = {
    "always_on": lambda: ALWAYS_ON,
    "always_off": lambda: ALWAYS_OFF,
    "traceidratio": lambda: TraceIdRatioBased(settings.OTEL_TRACES_SAMPLER_ARG),
}


class QuietExporter(SpanExporter):
    """Says once a minute that the collector does not take the spans. The library's own lines quote what it answers."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._quiet = Quiet()

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch, and lose it if the collector does not take it."""
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS and self._quiet.is_due("export"):
            logger.warning("traces are lost: the collector of OTEL_EXPORTER_OTLP_ENDPOINT does not take them")
        return result

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()


def start() -> Tracer:
    """Start exporting, and return what makes the spans. Called in a worker, after it was forked."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(
        sampler=sampler(),
        resource=Resource.create({"service.name": settings.OTEL_SERVICE_NAME, "service.version": VERSION}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(QuietExporter(exporter())))
    Finalize(None, stop, args=(provider,), exitpriority=0)
    return Tracer(provider.get_tracer("keyportal", VERSION))


def stop(provider: TracerProvider) -> None:
    """Export what is left, and wait for that for a moment at most."""
    ending = threading.Thread(target=provider.shutdown, name="keyportal-traces", daemon=True)
    ending.start()
    ending.join(AT_EXIT)


def sampler() -> Sampler:
    """Return the sampler that OTEL_TRACES_SAMPLER names."""
    name: str = settings.OTEL_TRACES_SAMPLER
    root = ROOTS[name.removeprefix("parentbased_")]()
    return ParentBased(root) if name.startswith("parentbased_") else root


def exporter() -> OTLPSpanExporter:
    """Return the exporter to the collector that the settings name."""
    of_all, of_traces = settings.OTEL_EXPORTER_OTLP_ENDPOINT, settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
    headers = settings.OTEL_EXPORTER_OTLP_TRACES_HEADERS or settings.OTEL_EXPORTER_OTLP_HEADERS
    return OTLPSpanExporter(of_traces or of_all.rstrip("/") + TRACES, headers=headers_of(headers))
