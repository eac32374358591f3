"""The single state row beside the trail: the end of its chain, and removed events that are not recorded yet.

It is sealed, so that the chain can't be made to end earlier. It is locked while the chain is extended, and not needed
for writing events.
"""

import logging
from typing import Any

from audit.models import ChainState
from integrity.hostile_rows import has_valid_seal, read_row

logger = logging.getLogger(__name__)


def lock_state() -> tuple[ChainState, bool]:
    """Return the row, locked until the end of the transaction, and whether it is as the portal wrote it.

    If it is not, its content is lost: the row returned is a fresh one.
    """
    if not ChainState.objects.select_for_update().filter(pk=1).values_list("pk"):
        ChainState.objects.get_or_create(pk=1)  # seals it too
    found = read_row(ChainState, 1)
    if found is not None and has_valid_seal(found):
        return found, True
    logger.error("integrity_violation: the row seal of the trail's state does not match")
    return ChainState(pk=1), False


def write_state(state: ChainState, **changes: Any) -> None:
    """Write the changes to the row, sealed."""
    for name, value in changes.items():
        setattr(state, name, value)
    state.seal = state.make_seal()
    ChainState.objects.filter(pk=1).update(**{name: getattr(state, name) for name in (*_WRITTEN, "seal")})


_WRITTEN = tuple(name for name in ChainState.SEALED if name != "id")
