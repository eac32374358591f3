"""Which scopes a key may get."""

from collections.abc import Collection

from apikeys.errors import ReservedScopeError, UnknownScopeError
from credentials.scopes.models import Scope


def refuse_scopes(requested: Collection[str], *, held: Collection[str], restricted: bool) -> None:
    """Raise `ScopeNotAllowedError` unless all requested scopes that the key does not have yet may be added.

    `restricted` allows those that only operators grant.
    """
    added = set(requested) - set(held)
    known = {scope.name: scope for scope in Scope.objects.filter(name__in=added).with_valid_seals()}
    unknown = [place for place, name in enumerate(requested) if name in added and name not in known]
    if unknown:
        raise UnknownScopeError(unknown)
    reserved = sorted(name for name, scope in known.items() if scope.restricted)
    if reserved and not restricted:
        raise ReservedScopeError(reserved)
