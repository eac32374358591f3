"""Create ten million keys by COPY: `python -m benchmarks.many_keys COUNT GOOD FILE`, in a portal's environment.

The first GOOD keys can be used; their secrets go into FILE, one per line. The others fill tables and indexes as real
keys would, but their secrets are unknown and their seals fit nothing.
"""

import os
import secrets
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keyportal.settings")
django.setup()

# Models can be imported only after django.setup().
from accounts.models import User  # noqa: E402
from accounts.services import create_user  # noqa: E402
from apikeys.models import APIKey, KeySecret  # noqa: E402
from audit.origin import Origin  # noqa: E402
from integrity.rings import index_ring  # noqa: E402
from vault.digests import index_digest  # noqa: E402
from vault.secret_format import hint, new_secret  # noqa: E402

KEY_COLUMNS = (
    "id, owner_id, name, environment, scopes, networks, created_at, revoked_reason, paused_reason, rate_limit, "
    "version, paused_by_operator, seal"
)
ROW_COLUMNS = "id, key_id, digest, index_key_id, hint, created_at, seal"
SEAL = b"\x01\x02s1" + bytes(32)


def fill(count: int, good: int, file: Path) -> None:
    """Write the rows, all of one owner."""
    name = f"many-{secrets.token_hex(4)}@example.com"
    password = secrets.token_urlsafe(24)
    owner: User = create_user(email=name, password=password, confirmed=True, origin=Origin.of_command("bench"))
    sealed = list(_good(owner, good, file))
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        raw: Any = cursor.cursor if hasattr(cursor, "cursor") else cursor
        with raw.copy(f"COPY apikeys_apikey ({KEY_COLUMNS}) FROM STDIN") as copy:
            copy.set_types(["text"] * 6 + ["timestamptz", "text", "text", "text", "int4", "bool", "bytea"])
            for key, _ in sealed:
                copy.write_row((*key,))
            for number in range(good, count):
                at = owner.joined_at + timedelta(seconds=number)
                key_values = (_id("key", number), owner.pk, f"key {number}", "live", "", "", at, "", "", "", 1, False)
                copy.write_row((*key_values, SEAL))
        with raw.copy(f"COPY apikeys_keysecret ({ROW_COLUMNS}) FROM STDIN") as copy:
            copy.set_types(["text", "text", "bytea", "text", "text", "timestamptz", "bytea"])
            for _, secret in sealed:
                copy.write_row(secret)
            for number in range(good, count):
                key_id, digest = _id("key", number), os.urandom(32)
                row = (_id("sec", number), key_id, digest, "i1", "kp_live_…0000", owner.joined_at, SEAL)
                copy.write_row(row)
        cursor.execute("ANALYZE")


def _good(owner: User, count: int, file: Path) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield the rows of good keys, and write their secrets to the file."""
    ring = index_ring().primary
    with file.open("w") as written:
        for _ in range(count):
            text = new_secret("kp", "live")
            key = APIKey(owner=owner, name="good", environment="live")  # created now, each a little later
            secret = KeySecret(key=key, index_key_id=ring.id, digest=index_digest(ring, text), hint=hint(text))
            seals = key.make_seal(), secret.make_seal()
            written.write(text + "\n")
            yield (
                (key.pk, owner.pk, key.name, "live", "", "", key.created_at, "", "", "", 1, False, seals[0]),
                (secret.pk, key.pk, secret.digest, ring.id, secret.hint, secret.created_at, seals[1]),
            )


def _id(kind: str, number: int) -> str:
    """Return an id that is as spread over the index as random ids are."""
    return f"{kind}_{(number * 0x9E3779B97F4A7C15) % 2**64:022d}"  # Fibonacci hashing


if __name__ == "__main__":
    fill(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
