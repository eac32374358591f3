"""Seal values for rows under the ring of the settings, and open them (`vault.sealing`)."""

from collections.abc import Sequence

from integrity.key_check import confirm_rings, sealing_ring_to_write
from integrity.rings import sealing_ring
from vault.errors import UnknownKeyError
from vault.sealing import seal, unseal


def seal_value(text: str, context: Sequence[str]) -> bytes:
    """Return the text sealed for a row that is about to be written, bound to `context` (purpose first)."""
    return seal(sealing_ring_to_write(), text, context)


def unseal_value(blob: bytes, context: Sequence[str]) -> str:
    """Return the plaintext of a value that `seal_value` made for the same context.

    Raises `vault.errors.SealBrokenError`, or `UnknownKeyError` for a key that nobody wrote with. `RingMisfitError` if
    another process did: this one can't tell whether the value is good.
    """
    try:
        return unseal(sealing_ring(), blob, context)
    except UnknownKeyError:
        confirm_rings()
        raise
