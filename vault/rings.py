"""Key rings: numbered secrets of the server. The first key of a ring writes, all of them read.

A ring is written `id:base64,id:base64`. An id is up to 16 characters of `a-z 0-9 -`; a key is at least 32 random bytes.
Nothing uses a key as it is: each purpose has a subkey of its own, made by HKDF-SHA-256 (RFC 5869).
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
    """One key of a ring. Shows its id and nothing else."""

    def __init__(self, key_id: str, material: bytes) -> None:
        self.id = key_id
        self._material = material

    def __repr__(self) -> str:
        return f"RingKey({self.id!r})"

    def same_material(self, other: bytes) -> bool:
        """Tell whether these bytes are this key: one secret must not serve two purposes."""
        return secrets.compare_digest(self._material, other)

    def same_material_as(self, other: "RingKey") -> bool:
        """Tell whether the other key, whatever its id, is this one."""
        return self.same_material(other._material)

    def subkey(self, purpose: str) -> bytes:
        """Derive the 32 bytes that serve this purpose and no other."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"keyportal {purpose}".encode()).derive(self._material)

    @cached_property
    def for_sealing(self) -> bytes:
        """The AES-256-GCM key of `vault.sealing`."""
        return self.subkey("sealing v1")

    @cached_property
    def for_row_seals(self) -> bytes:
        """The HMAC key of `vault.rowseal`."""
        return self.subkey("row seal v1")

    @cached_property
    def for_digests(self) -> bytes:
        """The HMAC key of `vault.digests`."""
        return self.subkey("index digest v1")

    @cached_property
    def digest_mac(self) -> hmac.HMAC:
        """HMAC-SHA-256 under `for_digests`, to be copied, never updated: a copy takes a third of a fresh one's time."""
        return hmac.new(self.for_digests, digestmod="sha256")

    @cached_property
    def row_seal_mac(self) -> hmac.HMAC:
        """HMAC-SHA-256 under `for_row_seals`, likewise."""
        return hmac.new(self.for_row_seals, digestmod="sha256")

    @cached_property
    def canary(self) -> bytes:
        """32 bytes that tell this key from any other and give nothing of it away."""
        return self.subkey("canary v1")


class KeyRing:
    """The keys of one ring in the order in which they were written; at least one."""

    def __init__(self, name: str, keys: list[RingKey]) -> None:
        self.name = name
        self._keys = {key.id: key for key in keys}
        self.primary = keys[0]

    def __repr__(self) -> str:
        return f"KeyRing({self.name!r}, ids={list(self._keys)})"

    def __iter__(self) -> Iterator[RingKey]:
        return iter(self._keys.values())

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def __getitem__(self, key_id: str) -> RingKey:
        """Give the key with this id. Raises `UnknownKeyError`."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise UnknownKeyError(self.name, key_id) from None

    @classmethod
    def parse(cls, name: str, text: str) -> Self:
        """Read a ring from its written form. Raises `RingError`, which names the entry at fault."""
        keys = [_parse_entry(name, position, entry) for position, entry in enumerate(_entries(text), start=1)]
        if not keys:
            raise RingError(f"the {name} ring is empty")
        _refuse_doubles(name, keys)
        return cls(name, keys)


def new_entry(key_id: str) -> str:
    """Write a fresh ring entry, `id:base64`. This is a secret."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _parse_entry(ring: str, position: int, entry: str) -> RingKey:
    key_id, colon, encoded = entry.partition(":")
    # No part of the entry is shown: it may be a key without an id, or something else that was pasted here.
    named = f"entry {position} of the {ring} ring"
    if not colon or not KEY_ID.fullmatch(key_id):
        raise RingError(f"{named} is not id:base64 with an id of a-z, 0-9 and -")
    try:
        material = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise RingError(f"{named} is not base64 behind its colon") from None
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
