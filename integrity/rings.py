"""The server's key rings as configured, which connect Django's settings with the vault."""

from functools import cache

from django.conf import settings

from vault.rings import KeyRing
from vault.signing_keys import SigningRing


def sealing_ring() -> KeyRing:
    """Return the ring that seals secrets and rows. Raises `vault.errors.RingError` if it is not written correctly."""
    return _parsed("sealing", settings.KEYPORTAL_SEALING_KEYS)


def index_ring() -> KeyRing:
    """Return the ring that makes index digests. Raises `vault.errors.RingError` if it is not written correctly."""
    return _parsed("index", settings.KEYPORTAL_INDEX_KEYS)


def signing_ring() -> SigningRing:
    """Return the ring that signs access tokens. Raises `vault.errors.RingError` if it is not written correctly."""
    return _parsed_signing(settings.KEYPORTAL_SIGNING_KEYS)


# Cached by the text: settings are read at every call, so that a test (or a reload) can change them.
_parsed = cache(KeyRing.parse)
_parsed_signing = cache(SigningRing.parse)
