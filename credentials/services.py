"""The verbs of the scope catalogue: the only place that writes it."""

from django.db import transaction

from accounts.audit import record
from accounts.origin import Origin
from credentials.models import Scope


@transaction.atomic
def add_scope(*, name: str, description: str, restricted: bool, origin: Origin) -> Scope:
    """Put a scope into the catalogue. Raises `django.db.IntegrityError` if the name is taken."""
    scope = Scope(name=name, description=description, restricted=restricted)
    scope.save(force_insert=True)
    record("scope_added", subject=f"scope:{name}", origin=origin, restricted=restricted)
    return scope


@transaction.atomic
def describe_scope(*, scope: Scope, description: str, restricted: bool, origin: Origin) -> None:
    """Change how a scope is described and who may take it. Keys that have it keep it."""
    Scope.objects.filter(pk=scope.pk).update(description=description, restricted=restricted)
    record("scope_changed", subject=f"scope:{scope.pk}", origin=origin, restricted=restricted)


@transaction.atomic
def remove_scope(*, scope: Scope, origin: Origin) -> bool:
    """Take a scope out of the catalogue; every key loses it at once. False if it was gone."""
    removed, _ = Scope.objects.filter(pk=scope.pk).delete()
    if removed:
        record("scope_removed", subject=f"scope:{scope.pk}", origin=origin)
    return bool(removed)
