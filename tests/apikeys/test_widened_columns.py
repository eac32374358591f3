"""What is wider than what: each column of a key, judged by what it lets through."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from apikeys.emails import FORMATS
from apikeys.models import APIKey
from apikeys.widening import COMPARISONS, HARMLESS, widened_columns

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H6")]
NOW = datetime(2031, 1, 1, tzinfo=UTC)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=2)


@pytest.mark.once
@pytest.mark.parametrize(
    ("column", "before", "after", "wider"),
    [
        ("scopes", "", "a", True),
        ("scopes", "a b", "b", False),
        ("scopes", "a", "b", True),
        ("scopes", "a b", "b a", False),
        ("networks", "", "203.0.113.0/24", False),
        ("networks", "203.0.113.0/24", "", True),
        ("networks", "203.0.113.0/24", "203.0.113.0/25", False),
        ("networks", "203.0.113.0/25", "203.0.113.0/24", True),
        ("networks", "203.0.113.0/24", "203.0.113.0/24 198.51.100.7", True),
        ("networks", "203.0.113.0/24 198.51.100.0/24", "198.51.100.7/32 203.0.113.9/32", False),
        ("networks", "203.0.113.0/25 203.0.113.128/25", "203.0.113.0/24", False),
        ("networks", "203.0.113.0/26 203.0.113.128/25", "203.0.113.0/24", True),
        ("networks", "203.0.113.0/24", "0.0.0.0/0", True),
        ("networks", "0.0.0.0/0", "203.0.113.0/24", False),
        ("networks", "0.0.0.0/0", "::/0", True),
        ("networks", "2001:db8::/32", "2001:db8:1::/48", False),
        ("networks", "2001:db8:1::/48", "2001:db8::/32", True),
        ("networks", "2001:db8::/32", "2001:db8::/32 203.0.113.1/32", True),
        ("networks", "0.0.0.0/0 ::/0", "", True),
        ("networks", "nonsense", "203.0.113.0/24", True),
        ("expires_at", None, SOON, False),
        ("expires_at", SOON, None, True),
        ("expires_at", SOON, LATER, True),
        ("expires_at", LATER, SOON, False),
        ("expires_at", SOON, SOON, False),
        ("expires_at", SOON, SOON + timedelta(microseconds=1), True),
        ("rate_limit", "100/minute", "99/minute", False),
        ("rate_limit", "100/minute", "101/minute", True),
        ("rate_limit", "100/minute", "100 per 1 minute", False),
        ("rate_limit", "100/minute", "5000/hour", True),  # as many in one minute
        ("rate_limit", "6000/hour", "100/minute", False),
        ("rate_limit", "5999/hour", "100/minute", True),
        ("rate_limit", "100/minute", "100/hour", False),
        ("rate_limit", "100/hour", "100/minute", True),
        ("rate_limit", "100/minute", "", True),
        ("rate_limit", "", "100/minute", False),
        ("rate_limit", "nonsense", "100/minute", True),
        ("paused_at", SOON, None, True),
        ("paused_at", None, SOON, False),
        ("revoked_at", SOON, None, True),
        ("revoked_at", None, SOON, False),
        ("name", "a", "b", False),
    ],
)
def test_what_is_wider_is_judged_by_what_it_lets_through(column: str, before: Any, after: Any, wider: bool) -> None:
    assert widened_columns(APIKey(**{column: before}), {column: after}) == ([column] if wider else [])


@pytest.mark.once
@pytest.mark.parametrize(
    ("before", "after", "wider"),
    [("50/minute", "", True), ("100/minute", "", False), ("", "101/minute", True), ("", "100/minute", False)],
)
def test_an_empty_limit_is_the_portal_s_default(settings: Settings, before: str, after: str, wider: bool) -> None:
    settings.KEYPORTAL_RATE_LIMIT = "100/minute"
    assert bool(widened_columns(APIKey(rate_limit=before), {"rate_limit": after})) is wider


@pytest.mark.once
def test_every_column_of_a_key_has_been_thought_of_and_a_new_one_counts_as_wider() -> None:
    written_once = {"id", "owner", "environment", "created_at", "form_token", "seal", "revoked_reason"}
    columns = {field.name for field in APIKey._meta.concrete_fields}
    assert columns == set(COMPARISONS) | HARMLESS | written_once
    assert set(FORMATS) >= set(COMPARISONS) - {"revoked_at"}  # nothing brings a revoked key back
    key = APIKey(revoked_reason="a")
    assert widened_columns(key, {"revoked_reason": "b"}) == ["revoked_reason"]
    assert widened_columns(key, {"revoked_reason": "a"}) == []
