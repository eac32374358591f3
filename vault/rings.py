"""Key rings: lists of the server's secret keys, each with an id. The first key writes, all of them read.

A ring is written `id:base64,id:base64`. An id is up to 16 characters of `a-z 0-9 -`; a key is at least 32 random bytes.
A key is never used directly: each purpose has a subkey of its own, derived by HKDF-SHA-256 (RFC 5869).
"""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterator
from functools import cached_property
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.errors import RingError, UnknownKeyError

KEY_BYTES = 32
KEY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")


class RingKey:
    """One key of a ring. Its `repr` shows the id only."""

    def __init__(self, key_id: str, material: bytes) -> None:
        self.id = key_id
        self._material = material

    def __repr__(self) -> str:
        return f"RingKey({self.id!r})"

    def same_material(self, other: bytes) -> bool:
        """Return whether these bytes are this key (constant time): one secret must not serve two purposes."""
        return secrets.compare_digest(self._material, other)

    def same_material_as(self, other: "RingKey") -> bool:
        """Return whether the other key has the same bytes, whatever its id."""
        return self.same_material(other._material)

    def subkey(self, purpose: str) -> bytes:
        """Return the 32-byte subkey for this purpose (HKDF-SHA-256)."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"keyportal {purpose}".encode()).derive(self._material)

    @cached_property
    def for_sealing(self) -> bytes:
        """The AES-256-GCM key of `vault.sealing`."""
        return self.subkey("sealing v1")

    @cached_property
    def for_row_seals(self) -> bytes:
        """The HMAC key of row seals (`vault.digests`)."""
        return self.subkey("row seal v1")

    @cached_property
    def for_digests(self) -> bytes:
        """The HMAC key of index digests (`vault.digests`)."""
        return self.subkey("index digest v1")

    @cached_property
    def digest_mac(self) -> hmac.HMAC:
        """HMAC-SHA-256 under `for_digests`. Copy it, never update it: a copy takes a third of a fresh one's time."""
        return hmac.new(self.for_digests, digestmod="sha256")

    @cached_property
    def row_seal_mac(self) -> hmac.HMAC:
        """HMAC-SHA-256 under `for_row_seals`. Copy it, never update it."""
        return hmac.new(self.for_row_seals, digestmod="sha256")

    @cached_property
    def check_value(self) -> bytes:
        """32 bytes that identify this key and reveal nothing about it."""
        return self.subkey("check value v1")


class KeyRing:
    """The keys of one ring, at least one, in the order in which they are configured."""

    def __init__(self, name: str, keys: list[RingKey]) -> None:
        self.name = name
        self.keys = tuple(keys)
        self.primary = keys[0]
        self.by_id = {key.id: key for key in keys}

    def __repr__(self) -> str:
        return f"KeyRing({self.name!r}, ids={list(self.by_id)})"

    def __iter__(self) -> Iterator[RingKey]:
        return iter(self.keys)

    def __contains__(self, key_id: object) -> bool:
        return key_id in self.by_id

    def __getitem__(self, key_id: str) -> RingKey:
        """Return the key with this id. Raises `UnknownKeyError` if the ring has none."""
        try:
            return self.by_id[key_id]
        except KeyError:
            raise UnknownKeyError(self.name, key_id) from None

    @classmethod
    def parse(cls, name: str, text: str) -> Self:
        """Parse a ring written as `id:base64,id:base64`. Raises `RingError`, which names the faulty entry."""
        keys = [_parse_entry(name, position, entry) for position, entry in enumerate(_entries(text), start=1)]
        if not keys:
            raise RingError(f"the {name} ring is empty")
        _refuse_doubles(name, keys)
        return cls(name, keys)


def new_entry(key_id: str) -> str:
    """Return a fresh ring entry, `id:base64`, with 32 random bytes. The entry is a secret."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _parse_entry(ring: str, position: int, entry: str) -> RingKey:
    key_id, colon, encoded = entry.partition(":")
    # The error quotes no part of the entry: it may be a key without an id, or another secret pasted by mistake.
    named = f"entry {position} of the {ring} ring"
    if not colon or not KEY_ID.fullmatch(key_id):
        raise RingError(f"{named} is not id:base64 with an id of a-z, 0-9 and -")
    try:
        material = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise RingError(f"{named} is not base64 after its colon") from None
    if len(material) < KEY_BYTES:
        raise RingError(f"{named} has {len(material)} bytes; it needs {KEY_BYTES}")
    return RingKey(key_id, material)


def _refuse_doubles(ring: str, keys: list[RingKey]) -> None:
    for position, key in enumerate(keys):
        for earlier in keys[:position]:
            if key.id == earlier.id:
                raise RingError(f"the {ring} ring has the id {key.id!r} twice")
            if key.same_material_as(earlier):
                raise RingError(f"keys {earlier.id!r} and {key.id!r} of the {ring} ring are the same")
