"""Which tests are quick: those that start nothing, and try no more than a few things.

What starts something is found out from what a test and its fixtures use, so nobody marks it.
"""

import subprocess
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import pytest

from tests import databases, gateways, pgbouncer, portal, redis_server, with_postgres
from tests.clients import command

STARTERS: Final[tuple[object, ...]] = (
    subprocess,
    portal.Portal,
    command.Command,
    databases.portal_database,
    gateways.started,
    pgbouncer.pgbouncer,
    redis_server.redis_server,
    with_postgres.postgres_cluster,
)
"""What starts a process: a test that uses one of these, by whatever way, is not quick."""
PROGRAMS: Final = (
    *("browser", "nginx", "edge", "caddy", "haproxy", "redis", "pgbouncer", "postgresql"),
    *("systemd", "prometheus"),
)
SLOW_MARKS: Final = ("drill", "sweep", *PROGRAMS, "second")


def is_quick(item: pytest.Function) -> bool:
    """Return whether the test starts nothing: no server, no browser, no command."""
    if any(item.get_closest_marker(name) for name in SLOW_MARKS):
        return False
    fixtures = [definition.func for found in item._fixtureinfo.name2fixturedefs.values() for definition in found]
    return not any(starts_something(function) for function in (item.function, *fixtures))


@cache  # a test of many parameters is one function, and many share a fixture
def starts_something(function: Any) -> bool:
    """Return whether a function uses one of the starters, itself or through functions of the tests' own."""
    return _starts(function, set())


def _starts(function: Any, seen: set[object]) -> bool:
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or function in seen:
        return False
    seen.add(function)
    used = [found for name in _names(function.__code__) for found in _found(function, name)]
    if any(_is_starter(one) for one in used):
        return True
    return any(_starts(one, seen) for one in used if getattr(one, "__module__", "").startswith("tests."))


def _is_starter(one: Any) -> bool:
    kinds = one.__mro__ if isinstance(one, type) else (one,)  # what a portal of a kind of its own starts, too
    return any(kind is starter for kind in kinds for starter in STARTERS)


def _found(function: FunctionType, name: str) -> Iterator[Any]:
    """Return what a name may stand for: something global, or an attribute of a module of the tests."""
    if name in function.__globals__:
        yield function.__globals__[name]
    for one in function.__globals__.values():
        if isinstance(one, ModuleType) and one.__name__.startswith("tests.") and hasattr(one, name):
            yield getattr(one, name)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
