"""Python reads this at the start of each portal of the tests: what only developers have installed is not there.

So it runs as in production, on requirements.txt alone; and starts in less time, because Django REST framework imports
all of these that it finds.
"""

import sys

for name in ("pygments", "requests", "yaml"):
    sys.modules[name] = None  # type: ignore[assignment]  # how Python writes that there is no such module
