"""`make quick` runs what starts nothing, and finds out by itself what that is."""

import subprocess
from collections.abc import Callable

import pytest

from tests import portal as portals
from tests.gateways import nginx
from tests.portal import Portal
from tests.quick import SLOW_MARKS, is_quick, starts_something

pytestmark = pytest.mark.once
SERVED = {
    "portal",
    "oauth_client",
    "cluster",
    "site",
    "chromium",
    "page",
    "behind",
    "store",
    "limited",
    "near",
    "far",
} | {
    "gateways",
    "front",
    "tls_portal",
}


def starts_a_portal() -> object:
    return Portal


def starts_by_a_helper() -> object:
    return starts_a_portal()


def starts_by_a_helper_s_helper() -> object:
    return [starts_by_a_helper() for _ in range(1)]


def starts_by_a_module() -> object:
    return portals.Portal


def starts_inside() -> Callable[[], object]:
    return lambda: nginx


class PortalOfItsOwn(Portal):
    """Starts what its base starts."""


def starts_a_portal_of_its_own() -> object:
    return PortalOfItsOwn


def starts_a_command() -> object:
    return subprocess.run


def calls_itself() -> object:
    return calls_itself


STARTING = (starts_a_portal, starts_by_a_helper, starts_by_a_helper_s_helper, starts_by_a_module)


@pytest.mark.parametrize("function", [*STARTING, starts_inside, starts_a_portal_of_its_own, starts_a_command])
def test_who_starts_something_by_whatever_way_is_found(function: Callable[[], object]) -> None:
    assert starts_something(function)


def test_who_starts_nothing_is_quick() -> None:
    assert not starts_something(calls_itself)
    assert not starts_something(test_who_starts_nothing_is_quick)


def test_no_test_that_is_served_or_driven_is_marked_quick(request: pytest.FixtureRequest) -> None:
    """Of those that this run has collected."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    quick = [item for item in items if is_quick(item)]
    assert request.node in quick
    served = [item.nodeid for item in quick if SERVED.intersection(getattr(item, "fixturenames", ()))]
    driven = [item.nodeid for item in quick if any(item.get_closest_marker(name) for name in SLOW_MARKS)]
    assert (served, driven) == ([], [])
