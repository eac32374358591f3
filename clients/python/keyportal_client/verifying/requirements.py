"""What a request needs of its credential."""

from collections.abc import Collection
from functools import lru_cache
from typing import Final, NamedTuple

ENVIRONMENTS: Final = (None, "live", "test")


class Requirements(NamedTuple):
    """What must be true of a credential beside being good."""

    scopes: tuple[str, ...] = ()
    """All of them."""
    environment: str | None = None
    """`live` or `test`; None for either."""


NOTHING: Final = Requirements()


def requirements(scopes: Collection[str], environment: str | None) -> Requirements:
    """Return the requirements. Raises ValueError for what no request can mean."""
    if not scopes and environment is None:
        return NOTHING
    if isinstance(scopes, str):
        raise ValueError("scopes is a collection of names, not one name")  # noqa: TRY004  # the same for the caller
    return _requirements(tuple(scopes), environment)


@lru_cache  # a service has few of them, and asks at each request
def _requirements(scopes: tuple[str, ...], environment: str | None) -> Requirements:
    if environment not in ENVIRONMENTS:
        raise ValueError("environment is live, test or None")
    return Requirements(scopes, environment)
