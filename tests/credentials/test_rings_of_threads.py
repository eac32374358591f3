"""A thread that has the database open from before compares no key rings with it."""

import pytest

from credentials.verified_cache.freshness import Freshness


@pytest.mark.once
def test_rings_are_compared_with_the_database_that_the_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[str] = []
    fresh = Freshness()
    monkeypatch.setattr(fresh, "open_current", lambda: did.append("followed"))
    monkeypatch.setattr("credentials.verified_cache.freshness.confirm_rings", lambda: did.append("compared"))
    fresh.confirm_rings()
    fresh.confirm_rings()
    assert did == ["followed", "compared"]
