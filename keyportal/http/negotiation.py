"""Content negotiation of the API. There is only JSON, so there is hardly anything to negotiate."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from typing_extensions import override

PROBLEM: Final = re.compile(r"\s*application/problem\+json(?=\s*(;|$))", re.IGNORECASE)
ANYTHING: Final = ("*/*", "application/json", "")


class JSONNegotiation(DefaultContentNegotiation):
    """REST framework's negotiation, which skips the parsing if the client accepts anything or exactly JSON."""

    @override
    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        if request._request.META.get("HTTP_ACCEPT", "") in ANYTHING and isinstance(renderers, Sequence):
            only: Any = renderers[0] if len(renderers) == 1 else None
            if only is not None and only.media_type == "application/json":
                return only, only.media_type
        # Errors are always `application/problem+json`, so a client may also ask for that.
        chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        return chosen

    @override
    def get_accept_list(self, request: Request) -> list[str]:
        """Return the media types that the client accepts. A client that accepts problems accepts JSON."""
        accepted: list[str] = super().get_accept_list(request)
        return [PROBLEM.sub("application/json", media_type) for media_type in accepted]
