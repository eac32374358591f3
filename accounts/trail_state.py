"""The one row beside the trail: where its chain ends, and what of a removal is told of in no event yet.

It is sealed, so that nobody makes the chain end earlier. Whoever extends the chain holds it, and no writer of events
needs it.
"""

import logging
from typing import Any

from accounts.hostile_rows import fits, read_row
from accounts.models import AuditState

logger = logging.getLogger(__name__)


def hold_state() -> tuple[AuditState, bool]:
    """Return the row, held until the transaction is over, and whether it is the portal's own.

    Where somebody else wrote, what it said is lost: it begins anew.
    """
    if not AuditState.objects.select_for_update().filter(pk=1).values_list("pk"):
        AuditState.objects.get_or_create(pk=1)  # which seals it
    found = read_row(AuditState, 1)
    if found is not None and fits(found):
        return found, True
    logger.error("integrity_violation: the row seal of the state of the trail does not fit")
    return AuditState(pk=1), False


def keep_state(state: AuditState, **changes: Any) -> None:
    """Write the row, sealed."""
    for name, value in changes.items():
        setattr(state, name, value)
    state.seal = state.make_seal()
    AuditState.objects.filter(pk=1).update(**{name: getattr(state, name) for name in (*_WRITTEN, "seal")})


_WRITTEN = tuple(name for name in AuditState.SEALED if name != "id")
