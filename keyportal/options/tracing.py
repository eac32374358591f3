"""Settings of traces: the standard variables of OpenTelemetry that name a place or hold a secret.

Its SDK reads the others by itself, from the environment or from `.env`: OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_…,
OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_EXPORTER_OTLP_CERTIFICATE and their kin.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit

from keyportal.options.kinds import Kind, UnsuitableError, choice, decimal, flag, text
from keyportal.options.option import Option

SAMPLERS: Final = ("always_on", "always_off", "traceidratio")
_HEADER: Final = re.compile(
    r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*([\x21-\x2b\x2d-\x7e]*(?: [\x21-\x2b\x2d-\x7e]+)*)\s*"
)


def headers_of(given: str) -> dict[str, str]:
    """Return the headers of a text such as `name=value,name=value`, percent-decoded. Raises ValueError."""
    headers = {}
    for entry in filter(None, map(str.strip, given.split(","))):
        match = _HEADER.fullmatch(entry)
        if match is None:
            raise ValueError
        value = unquote(match[2])
        if not value.isprintable() or not value.isascii():
            raise ValueError
        headers[match[1].lower()] = value
    return headers


def _headers(given: str) -> str:
    headers_of(given)
    return given


def _collector(given: str) -> str:
    url = urlsplit(given)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError
    if url.port == 0 or set(given) & set(' "<>\\^`{|}'):
        raise ValueError
    if url.username is not None or url.password is not None:
        raise UnsuitableError("must have no password; OTEL_EXPORTER_OTLP_HEADERS is for that")
    return given


_COLLECTOR: Final = Kind(
    "address", "the address of a collector, such as http://127.0.0.1:4318", _collector, max_length=1000
)
_HEADERS: Final = Kind("headers", "headers such as name=value,name=value", _headers, max_length=8000)
_SECRET: Final = partial(Option, kind=_HEADERS, default="", secret=True)

GROUPS: Final[Mapping[str, tuple[Option, ...]]] = {
    "Traces": (
        Option(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            _COLLECTOR,
            "",
            "a collector that takes OTLP over HTTP; `/v1/traces` is added. With it, and with the packages of "
            "`requirements-tracing.txt`, workers export spans",
            example="http://127.0.0.1:4318",
        ),
        Option(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            _COLLECTOR,
            "",
            "the same for traces alone, used as it is",
            example="http://127.0.0.1:4318/v1/traces",
        ),
        _SECRET(
            "OTEL_EXPORTER_OTLP_HEADERS",
            meaning="what the collector wants in each request, such as a token; percent-encoded",
            example="authorization=Bearer%20token",
        ),
        _SECRET("OTEL_EXPORTER_OTLP_TRACES_HEADERS", meaning="the same for traces alone", example="api-key=token"),
        Option("OTEL_SERVICE_NAME", text(), "keyportal", "how the portal is called in traces"),
        Option(
            "OTEL_TRACES_SAMPLER",
            choice(*SAMPLERS, *(f"parentbased_{sampler}" for sampler in SAMPLERS)),
            "parentbased_always_on",
            "which requests are traced; `parentbased_…` follows what a trusted proxy decided",
        ),
        Option("OTEL_TRACES_SAMPLER_ARG", decimal(0, 1, "share"), "1", "of requests, for `traceidratio`"),
        Option("OTEL_SDK_DISABLED", flag(), "false", "whether nothing is traced whatever else is set"),
    ),
}
