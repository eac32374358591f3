"""The context of a trace in `traceparent` (W3C Trace Context), which a trusted proxy alone may give.

Anybody else could make a request part of somebody's trace, or have all of theirs sampled. Their header is not even
linked to: it is theirs, and no operator needs it. `tracestate` is free text, and never read.
"""

import re
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_PLAIN: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def parent_of(traceparent: str | None, *, is_trusted: bool) -> Context:
    """Return the context in which a span begins: a remote one from a trusted sender, or else an empty one."""
    if not is_trusted or traceparent is None:
        return Context()
    match = _FORM.fullmatch(traceparent)
    if match is None or (traceparent.startswith("00-") and not _PLAIN.fullmatch(traceparent)):
        return Context()
    flags = TraceFlags(int(match[3], 16) & TraceFlags.SAMPLED)
    remote = SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(remote), Context())
