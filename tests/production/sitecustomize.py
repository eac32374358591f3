"""Python reads this at the start of each portal of the tests, and then lacks two packages that developers alone have.

Django REST framework imports both where it finds them; in production it does not. So a start is that of production, and
takes three quarters of the time, also because nothing that is imported is garbage. Hashes of passwords are Argon2's, as
in production, but cheap: what they cost is slow on purpose, and took half the time of all servers of the tests.
"""

import gc
import sys

from django.contrib.auth.hashers import Argon2PasswordHasher

for name in ("requests", "yaml"):
    sys.modules[name] = None  # type: ignore[assignment]  # how Python writes that there is no such module
gc.set_threshold(100_000)
Argon2PasswordHasher.time_cost, Argon2PasswordHasher.memory_cost = 1, 64  # the least that eight lanes take
