"""Times in words."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from accounts.times import in_words

AT = datetime(2026, 2, 3, 23, 5, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))], ids=str
)
def test_a_time_is_in_utc_and_says_so_whatever_its_zone(zone: timezone) -> None:
    assert in_words(AT.astimezone(zone)) == "3 Feb 2026, 23:05 UTC"
    assert in_words(AT.astimezone(zone), "j M") == "3 Feb UTC"
