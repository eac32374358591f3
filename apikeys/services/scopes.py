"""Which scopes a key may get."""

from collections.abc import Collection

from apikeys.errors import ScopeNotAllowedError
from credentials.scopes.models import Scope


def refuse_scopes(requested: Collection[str], *, held: Collection[str], restricted: bool) -> None:
    """Raise `ScopeNotAllowedError` unless all requested scopes that the key does not have yet may be added.

    `restricted` allows those that only operators grant. A name that is not in the catalogue may be anything, even a
    secret, so the error says where in the list it is.
    """
    added = set(requested) - set(held)
    known = {scope.name: scope for scope in Scope.objects.filter(name__in=added).with_valid_seals()}
    unknown = [number for number, name in enumerate(requested, 1) if name in added and name not in known]
    if unknown:
        raise ScopeNotAllowedError(f"Not in the catalogue: number {' and '.join(map(str, unknown))} of these scopes.")
    reserved = sorted(name for name, scope in known.items() if scope.restricted)
    if reserved and not restricted:
        raise ScopeNotAllowedError(f"Only operators can grant {', '.join(reserved)}.")
