"""The server's key rings as the settings name them: the door from Django to the vault."""

from functools import cache

from django.conf import settings

from vault.rings import KeyRing
from vault.signing_keys import SigningRing


def sealing_ring() -> KeyRing:
    """Give the ring that seals secrets and rows. Raises `vault.errors.RingError` if it is written wrongly."""
    return _parsed("sealing", settings.KEYPORTAL_SEALING_KEYS)


def index_ring() -> KeyRing:
    """Give the ring that makes index digests. Raises `vault.errors.RingError` if it is written wrongly."""
    return _parsed("index", settings.KEYPORTAL_INDEX_KEYS)


def signing_ring() -> SigningRing:
    """Give the ring that signs access tokens. Raises `vault.errors.RingError` if it is written wrongly."""
    return _parsed_signing(settings.KEYPORTAL_SIGNING_KEYS)


# Cached by the text itself: settings are read at every call, so that a test (or a reload) can change them.
_parsed = cache(KeyRing.parse)
_parsed_signing = cache(SigningRing.parse)
