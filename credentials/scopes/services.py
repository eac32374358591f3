"""The services of the scope catalogue, which alone write it."""

from django.db import transaction

from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.scopes.models import Scope
from integrity.sealed import confirm_rows, swap, until_unchanged


@transaction.atomic
def add_scope(*, name: str, description: str, restricted: bool, origin: Origin) -> Scope:
    """Add a scope to the catalogue and return it. Raises `django.db.IntegrityError` if the name is taken."""
    scope = Scope(name=name, description=description, restricted=restricted)
    scope.save(force_insert=True)
    record_event(EventType.SCOPE_ADDED, subject=f"scope:{name}", origin=origin, restricted=restricted)
    return scope


@transaction.atomic
def change_scope(*, scope: Scope, description: str, restricted: bool, origin: Origin) -> None:
    """Change a scope's description and restriction. Keys that have it keep it. Raises `TamperedRowError`."""
    for current in until_unchanged(Scope, scope.pk):
        if swap(current, {"description": description, "restricted": restricted}):
            break
    record_event(EventType.SCOPE_CHANGED, subject=f"scope:{scope.pk}", origin=origin, restricted=restricted)


@transaction.atomic
def remove_scope(*, scope: Scope, origin: Origin) -> bool:
    """Remove a scope from the catalogue, and so from every key at once. Return False if it was gone already.

    Raises `integrity.sealed.UndoneChangeError` if the database undoes the removal.
    """
    removed, _ = Scope.objects.filter(pk=scope.pk).delete()
    confirm_rows(Scope.objects.filter(pk=scope.pk), exist=False)
    if removed:
        record_event(EventType.SCOPE_REMOVED, subject=f"scope:{scope.pk}", origin=origin)
    return bool(removed)
