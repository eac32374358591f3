"""Python reads this at the start of each portal of the tests, and then lacks two packages that developers alone have.

Django REST framework imports both where it finds them; in production it does not. So a start is that of production, and
takes three quarters of the time, also because nothing that is imported is garbage.
"""

import gc
import sys

for name in ("requests", "yaml"):
    sys.modules[name] = None  # type: ignore[assignment]  # how Python writes that there is no such module
gc.set_threshold(100_000)
