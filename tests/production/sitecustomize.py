"""Python reads this at the start of each portal of the tests: what only developers have installed is not there.

So it runs as in production, on requirements.txt alone. And it starts in three quarters of the time: Django REST
framework imports both of these where it finds them, and nothing that is imported is garbage.
"""

import gc
import sys

for name in ("requests", "yaml"):
    sys.modules[name] = None  # type: ignore[assignment]  # how Python writes that there is no such module
gc.set_threshold(100_000)
