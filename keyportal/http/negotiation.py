"""Content negotiation of the API."""

import re
from typing import Final

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from typing_extensions import override

PROBLEM: Final = re.compile(r"\s*application/problem\+json(?=\s*(;|$))", re.IGNORECASE)


class JSONNegotiation(DefaultContentNegotiation):
    """REST framework's negotiation, for a client that accepts problems (RFC 9457): errors are, and the rest is JSON."""

    @override
    def get_accept_list(self, request: Request) -> list[str]:
        accepted: list[str] = super().get_accept_list(request)
        # An empty header asks for nothing (RFC 9110 §12.5.1 has no such form), and is no reason to refuse anything.
        return [PROBLEM.sub("application/json", media_type) for media_type in accepted if media_type.strip()] or ["*/*"]
