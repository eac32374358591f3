"""How much a client may send ahead, and how long each step of a connection may take."""

from typing import Final

MOST_TURNS: Final = 8
"""Requests that a client may send ahead before nothing more is read of it."""

SLICE: Final = 1024
"""Bytes that are read before anybody looks whether it is enough for now."""
SLICES: Final = 8
"""So many are read of one client before others have their turn."""

MOST_HEAD: Final = 64 * 1024
"""Bytes of a head, all its lines together."""
MOST_TARGET: Final = 16 * 1024
MOST_LINES: Final = 100
USUAL_HEAD: Final = 16 * 1024
"""Bytes of a head that is not complete which nobody counts."""

HEAD_WITHIN: Final = 10.0
BODY_WITHIN: Final = 10.0
TAKEN_WITHIN: Final = 30.0
"""Seconds for a client to take an answer."""
IDLE: Final = 75.0
"""Longer than nginx keeps its connections (60): who closes first does not find a request on its way."""
LINGER: Final = 2.0
"""Seconds for which what still comes is thrown away, so that the answer to half a request is read."""
