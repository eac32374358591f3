"""Content negotiation of the API."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, cast

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from typing_extensions import override

PROBLEM: Final = re.compile(r"\s*application/problem\+json(?=\s*(;|$))", re.IGNORECASE)
TAKES_JSON: Final = ("*/*", "application/json", "")
"""What most clients send as `Accept`, and every one that sends no such header."""


class JSONNegotiation(DefaultContentNegotiation):
    """REST framework's negotiation, for a client that accepts problems (RFC 9457): errors are, and the rest is JSON."""

    @override
    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        # REST framework parses the header and the query: a tenth of a short request (benchmarks.checks, "none").
        if request._request.META.get("HTTP_ACCEPT", "") in TAKES_JSON and isinstance(renderers, Sequence):
            first: BaseRenderer = renderers[0]
            if first.media_type == "application/json" and not format_suffix:
                return first, "application/json"
        return cast("tuple[BaseRenderer, str]", super().select_renderer(request, renderers, format_suffix))

    @override
    def get_accept_list(self, request: Request) -> list[str]:
        accepted: list[str] = super().get_accept_list(request)
        # An empty header asks for nothing (RFC 9110 §12.5.1 has no such form), and is no reason to refuse anything.
        return [PROBLEM.sub("application/json", media_type) for media_type in accepted if media_type.strip()] or ["*/*"]
