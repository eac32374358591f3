"""A portal in memory for services, and a service of each framework."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from keyportal_client.testing.plugin import api_key, keyportal
from tests.clients.frameworks.services import SERVICES, VARIANTS, Service

__all__ = ["api_key", "keyportal"]

Serve = Callable[..., Service]


def _serving(service: Any) -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(service(**options))


@pytest.fixture(params=SERVICES)
def serve(request: pytest.FixtureRequest, keyportal: Any) -> Iterator[Serve]:
    """Start a service of one framework, protected with these options."""
    yield from _serving(SERVICES[request.param])


@pytest.fixture(params=SERVICES | VARIANTS)
def serve_any(request: pytest.FixtureRequest, keyportal: Any) -> Iterator[Serve]:
    """Start a service, written in any way that its framework has."""
    yield from _serving((SERVICES | VARIANTS)[request.param])
