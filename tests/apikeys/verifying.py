"""A secret, verified from an address."""

from ipaddress import ip_address
from typing import Any

import pytest

from apikeys.verification import verify
from credentials.record import VerifiedRecord
from credentials.refusals import RefusedError

HERE = ip_address("203.0.113.7")


def code_of(secret: str, **asked: Any) -> str:
    """Return the code with which the secret is refused."""
    with pytest.raises(RefusedError) as error:
        verify(secret, address=asked.pop("address", HERE), **asked)
    return error.value.refusal.code


def good(secret: str, **asked: Any) -> VerifiedRecord:
    """Return what the secret proves."""
    return verify(secret, address=asked.pop("address", HERE), **asked)


def outcome_of(secret: str, **asked: Any) -> str:
    """Return `accepted`, or the code with which the secret is refused."""
    try:
        good(secret, **asked)
    except RefusedError as error:
        return error.refusal.code
    return "accepted"
