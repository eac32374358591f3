"""How long it takes to read a body that is wrong."""

import json
from collections.abc import Callable, Collection
from difflib import get_close_matches

import pytest
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from credentials.json_body import MAX_UNKNOWN, StrictSerializer
from gateway.verification_request import parse_body

pytestmark = [pytest.mark.once, pytest.mark.finding("H4")]


class Strict(StrictSerializer):
    scope = serializers.CharField()


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names for which a similar one is searched: that takes a while, and verdicts wait for it."""
    names: list[str] = []

    def compare(name: str, known: Collection[str], **how: int) -> list[str]:
        names.append(name)
        return get_close_matches(name, known, **how)

    monkeypatch.setattr("credentials.json_body.get_close_matches", compare)
    return names


@pytest.mark.parametrize("prefix", ["scop", "9aud3ie7nce"], ids=["sayable", "not sayable"])
@pytest.mark.parametrize(
    "refuse", [parse_body, lambda body: Strict(data=json.loads(body)).is_valid(raise_exception=True)]
)
def test_of_many_unknown_names_few_are_compared(
    compared: list[str], prefix: str, refuse: Callable[[bytes], object]
) -> None:
    body = json.dumps({f"{prefix}{number}": 1 for number in range(3000)})
    with pytest.raises(ValidationError):
        refuse(body.encode())
    assert 0 < len(compared) <= MAX_UNKNOWN
