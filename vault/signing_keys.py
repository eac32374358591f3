"""The signing ring, a private JWK Set (RFC 7517). The first key signs, all of them verify.

A key serves exactly one algorithm, named in its `alg`. Its `kid` is its RFC 7638 thumbprint; for HS256 it is random,
because a thumbprint would be a public hash of the secret (RFC 7638 §7).
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt import PyJWK
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from vault.errors import RingError, UnknownKeyError
from vault.rings import KEY_BYTES, RingKey

NAME: Final = "signing"
KEY_NAME: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
SIGNING_RSA_BITS: Final = 3072
VERIFYING_RSA_BITS: Final = 2048
KEY_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "RS256": {"kty": "RSA"},
    "HS256": {"kty": "oct"},
}
"""The supported algorithms (RFC 7518 §3.1, RFC 8037) and the JWK members that their keys must have."""
_PUBLIC: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
"""The members that a thumbprint covers, in its order (RFC 7638 §3.2 and §3.3, RFC 8037 §2)."""
_PRIVATE: Final = {"EC": ("d",), "OKP": ("d",), "RSA": ("d", "p", "q", "dp", "dq", "qi"), "oct": ("k",)}


class SigningKey:
    """One key of the ring and its one algorithm. Its `repr` shows the id and the algorithm only."""

    def __init__(self, jwk: PyJWK, key_id: str) -> None:
        self.id = key_id
        self.algorithm = jwk.algorithm_name
        self.private = jwk
        self.public = jwk if self.is_symmetric else PyJWK(self.public_jwk())

    def __repr__(self) -> str:
        return f"SigningKey({self.id!r}, {self.algorithm!r})"

    @property
    def is_symmetric(self) -> bool:
        """Whether a verifier with this key could also sign with it. Such a key is never published."""
        return self.algorithm == "HS256"

    def public_jwk(self) -> dict[str, str]:
        """Return the public JWK for verifiers: public members, `use` and no `key_ops` (RFC 7517 §4.3)."""
        members = _public_members(self.private)
        return {**members, "use": "sig", "alg": self.algorithm, "kid": self.id}

    def is_material_of(self, others: Iterable[RingKey]) -> bool:
        """Return whether this secret is also a key of another ring. One secret must not serve two purposes."""
        return self.is_symmetric and any(other.same_material(self.private.key) for other in others)

    def same_material(self, other: bytes) -> bool:
        """Return whether these bytes are this symmetric secret, compared in constant time."""
        return self.is_symmetric and secrets.compare_digest(self.private.key, other)


class SigningRing:
    """The signing keys, at least one, in the order in which they are configured."""

    def __init__(self, keys: list[SigningKey]) -> None:
        self._keys = {key.id: key for key in keys}
        self.primary = keys[0]

    def __repr__(self) -> str:
        return f"SigningRing(ids={list(self._keys)})"

    def __iter__(self) -> Iterator[SigningKey]:
        return iter(self._keys.values())

    def __getitem__(self, key_id: str) -> SigningKey:
        """Return the key with this id. Raises `UnknownKeyError` if the ring has none."""
        try:
            return self._keys[key_id]
        except KeyError:
            raise UnknownKeyError(NAME, key_id) from None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a private JWK Set, or one private JWK. Raises `RingError`, which names the key but never quotes it."""
        keys = [_parse_key(position, jwk) for position, jwk in enumerate(_entries(text), start=1)]
        if not keys:
            raise RingError(f"the {NAME} ring is empty")
        _refuse_doubles(keys)
        _refuse_weak_rsa(keys)
        return cls(keys)

    def public_set(self) -> dict[str, list[dict[str, str]]]:
        """Return the public JWK Set. Symmetric keys are left out entirely."""
        return {"keys": [key.public_jwk() for key in self if not key.is_symmetric]}


def new_signing_jwk(algorithm: str) -> dict[str, str]:
    """Return a fresh private JWK for an algorithm of `KEY_TYPES`. The JWK is a secret."""
    if algorithm == "HS256":
        members = {"kty": "oct", "k": base64url(secrets.token_bytes(KEY_BYTES))}
        return {**members, "use": "sig", "alg": algorithm, "kid": secrets.token_urlsafe(16)}
    makers: dict[str, Callable[[], Any]] = {
        "ES256": lambda: generate_ec_key(SECP256R1()),
        "EdDSA": Ed25519PrivateKey.generate,
        "RS256": lambda: generate_rsa_key(65537, SIGNING_RSA_BITS),
    }
    written: dict[str, str] = get_default_algorithms()[algorithm].to_jwk(makers[algorithm](), as_dict=True)
    members = {name: written[name] for name in (*_PUBLIC[written["kty"]], *_PRIVATE[written["kty"]])}
    return {**members, "use": "sig", "alg": algorithm, "kid": thumbprint(members)}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of an asymmetric JWK in base64url (RFC 7638 §3)."""
    members = {name: jwk[name] for name in _PUBLIC[jwk["kty"]]}
    return base64url(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())


def base64url(raw: bytes) -> str:
    """Return the bytes as base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _entries(text: str) -> list[Any]:
    try:
        written = json.loads(text) if text.strip() else {"keys": []}
    except (ValueError, RecursionError):
        raise RingError(f"the {NAME} ring is not JSON") from None  # the cause would quote the ring
    if isinstance(written, dict) and "kty" in written:
        return [written]
    if not isinstance(written, dict) or not isinstance(written.get("keys"), list):
        raise RingError(f'the {NAME} ring is not a JWK Set, {{"keys": […]}}')
    return list(written["keys"])


def _parse_key(position: int, jwk: Any) -> SigningKey:
    """Parse one private JWK. No error quotes it, or has a cause that might."""
    named = f"key {position} of the {NAME} ring"
    algorithm = jwk.get("alg") if isinstance(jwk, dict) else None
    if not isinstance(algorithm, str) or algorithm not in KEY_TYPES:
        raise RingError(f"{named} is not a JWK with an alg of {', '.join(KEY_TYPES)}")
    kind = KEY_TYPES[algorithm]
    if any(jwk.get(member) != value for member, value in kind.items()):
        raise RingError(f"{named} is not of the kind that its alg {algorithm} needs")
    members = (*_PUBLIC.get(kind["kty"], ()), *_PRIVATE[kind["kty"]])
    if any(not isinstance(jwk.get(member), str) for member in members):
        raise RingError(f"{named} is not a private key, or lacks part of one")
    # PyJWT ignores characters outside the alphabet, so one key could be spelt in many ways.
    if not all(BASE64URL.fullmatch(jwk[member]) for member in members):
        raise RingError(f"{named} has a part that is not base64url (RFC 7515 §2)")
    try:
        key = PyJWK(jwk, algorithm)
        key_id = jwk.get("kid") if key.key_type == "oct" else thumbprint(_public_members(key))
        _refuse_mismatch(key)
    except (PyJWTError, ValueError, TypeError, KeyError):
        raise RingError(f"{named} can't be read as an {algorithm} key") from None
    if not isinstance(key_id, str) or not KEY_NAME.fullmatch(key_id):
        raise RingError(f"{named} needs a kid of 8 to 64 characters of A-Z, a-z, 0-9, - and _")
    if jwk.get("kid") not in (None, key_id):
        raise RingError(f"the kid of {named} is not its RFC 7638 thumbprint, {key_id}")
    if key.key_type == "oct" and len(key.key) < KEY_BYTES:
        raise RingError(f"{named} has {len(key.key)} bytes; it needs {KEY_BYTES}")
    return SigningKey(key, key_id)


def _public_members(jwk: PyJWK) -> dict[str, str]:
    written: dict[str, str] = jwk.Algorithm.to_jwk(jwk.key.public_key(), as_dict=True)
    return {name: written[name] for name in _PUBLIC[written["kty"]]}


def _refuse_mismatch(jwk: PyJWK) -> None:
    """Sign and verify once, so that a mismatched private and public half is found at start-up. Raises ValueError."""
    if jwk.key_type == "oct":
        return
    public = PyJWK(_public_members(jwk), jwk.algorithm_name)
    if not jwk.Algorithm.verify(b"proof", public.key, jwk.Algorithm.sign(b"proof", jwk.key)):
        raise ValueError("the halves do not belong together")


def _refuse_doubles(keys: list[SigningKey]) -> None:
    for position, key in enumerate(keys):
        for earlier in keys[:position]:
            if key.id == earlier.id:
                raise RingError(f"the {NAME} ring has the key {key.id!r} twice")
            if earlier.is_symmetric and key.is_symmetric and key.same_material(earlier.private.key):
                raise RingError(f"keys {earlier.id!r} and {key.id!r} of the {NAME} ring are the same")


def _refuse_weak_rsa(keys: list[SigningKey]) -> None:
    for key in keys:
        least = SIGNING_RSA_BITS if key is keys[0] else VERIFYING_RSA_BITS
        if key.algorithm == "RS256" and key.private.key.key_size < least:
            raise RingError(f"key {key.id!r} of the {NAME} ring has {key.private.key.key_size} bits; it needs {least}")
