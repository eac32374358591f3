"""Limits of a connection: how much a client may send ahead, and how long each step may take."""

from typing import Final

MAX_PIPELINED: Final = 8
"""Requests that a client may send ahead before the server stops reading."""

SLICE: Final = 1024
"""Bytes read before the limits are checked again."""
SLICES: Final = 8
"""Slices read from one client before others have their turn."""

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head, all its lines together."""
MAX_TARGET: Final = 16 * 1024
MAX_LINES: Final = 100
USUAL_HEAD: Final = 16 * 1024
"""Bytes of an incomplete head up to which it does not count as buffered."""

READY_WITHIN: Final = 1.0
"""Seconds after which a new worker listens, whether or not it has heard of changes yet."""
SUCCEEDED_WITHIN: Final = 2 * READY_WITHIN
"""Seconds for which a worker that is being replaced goes on at most, until a new one listens."""
ARRIVES_WITHIN: Final = 1.0
"""Seconds for the first request of a connection to begin, where the server ends meanwhile."""
HEAD_WITHIN: Final = 10.0
BODY_WITHIN: Final = 10.0
READ_WITHIN: Final = 30.0
"""Seconds for a client to read a response."""
IDLE: Final = 75.0
"""Seconds, longer than nginx keeps its connections (60). If nginx closes first, no request is lost on its way."""
LINGER: Final = 2.0
"""Seconds during which further bytes are discarded, so that the client can read the response to half a request."""
