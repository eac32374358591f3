"""Have everybody who holds records forget them: the workers of the portal, and verifiers in other processes."""

from django.db import transaction

from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from credentials.scopes.models import Scope
from vault.secret_format import new_id


@transaction.atomic
def forget_records(*, origin: Origin) -> None:
    """Announce a change of everything, so that each credential is asked about anew.

    It is for what the database does not show: a signing key that was taken out of the ring. The triggers of the
    catalogue announce everything, because each verdict depends on it, so a scope is added that is gone before the
    transaction ends, and that nobody sees.
    """
    scope = Scope(name=f"{new_id('forget').lower()}:all", description="gone at once", restricted=True)
    scope.save(force_insert=True)
    scope.delete()
    record_event(EventType.RECORDS_FORGOTTEN, subject="portal:records", origin=origin)
