"""The rate limiter of one worker, with and without its store, and limits as they are written."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client as Browser

from accounts.models import User
from apikeys import services
from audit.models import Event
from credentials.limits.rate_limit_text import parse_rate_limit
from credentials.limits.rate_limiter import RateLimiter, rate_limiter
from credentials.runtime.errors import WouldBlockError
from tests.conftest import ORIGIN, MakeKey
from tests.portal import Answer, Portal
from tests.ports import free_port
from tests.proxy import proxy_to

pytestmark = pytest.mark.once


def me(portal: Portal, credential: str) -> Answer:
    return portal.get("/api/v1/me", Authorization=f"Bearer {credential}")


def is_allowed(limiter: RateLimiter, limit: str, name: str = "somebody") -> bool:
    quota = limiter.hit(name, limit)
    assert quota is not None
    return not quota.is_exceeded


def test_a_store_that_fails_is_left_alone_for_longer_and_longer(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("credentials.runtime.circuit_breaker.time", SimpleNamespace(monotonic=lambda: now))
    with proxy_to(free_port()) as proxy:  # to a Redis that is not there
        settings.CACHE_URL = f"redis://127.0.0.1:{proxy.port}/0"
        limiter = RateLimiter()
        attempts = []
        for pause in (0.0, 0.5, 0.6, 1.0, 1.1, 3.0, 2.1, 9.0, 1.1, 9.0, 1.1):
            now += pause
            for _ in range(20):
                assert is_allowed(limiter, "1000/hour")
            attempts.append(proxy.refused)
    assert attempts == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]


def test_a_counter_without_its_store_counts_by_itself(settings: Any) -> None:
    with proxy_to(free_port()) as proxy:  # to a Redis that is not there
        settings.CACHE_URL = f"redis://127.0.0.1:{proxy.port}/0"
        limiter = RateLimiter()
        assert [is_allowed(limiter, "3/hour") for _ in range(5)] == [True] * 3 + [False] * 2
        assert is_allowed(limiter, "3/hour", "another")


def test_who_must_not_wait_does_not_ask_redis(settings: Any) -> None:
    settings.CACHE_URL, settings.KEYPORTAL_RATE_LIMIT = f"redis://127.0.0.1:{free_port()}/0", "3/hour"
    rate_limiter.cache_clear()
    try:
        with pytest.raises(WouldBlockError):
            rate_limiter().hit("somebody", "", may_block=False)
        settings.CACHE_URL = ""
        rate_limiter.cache_clear()
        assert rate_limiter().hit("somebody", "", may_block=False)
    finally:
        rate_limiter.cache_clear()


def test_without_a_limit_there_are_no_headers(portal: Portal) -> None:
    portal.make_developer("unlimited@example.com")
    _, secret = portal.make_key("unlimited@example.com")
    assert [name for name in me(portal, secret).headers if name.startswith("ratelimit")] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "many",
        "0/minute",
        "10/minute;5/second",
        "-1/day",
        "10/fortnight",
        "1/9999 year",
        "9" * 12 + "/day",
        "1/day" * 9,
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_rate_limit(text)


@pytest.mark.django_db
def test_an_operator_limits_a_key_on_the_record(log_in: Any, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    browser: Browser = log_in(operator)

    def ask(**fields: str) -> Any:
        chosen = {"action": "limit_keys", "_selected_action": key.pk, **fields}
        return browser.post("/admin/apikeys/apikey/", chosen, secure=True, follow=True)

    assert "Set the rate limit" in ask().content.decode()
    assert ask(limit="nonsense").status_code == 400
    assert "1 changed" in ask(limit="7/minute").content.decode()
    assert "0 changed" in ask(limit="7/minute").content.decode()
    key.refresh_from_db()
    assert key.rate_limit == "7/minute"
    event = Event.objects.get(verb="key_limited")
    assert (event.subject_id, event.details["limit"]) == (key.pk, "7/minute")
    assert services.set_rate_limit(key=key, limit="", origin=ORIGIN) is True


@pytest.mark.django_db
def test_a_key_s_own_limit_replaces_the_default(settings: Any, client: Browser, make_key: MakeKey) -> None:
    settings.KEYPORTAL_RATE_LIMIT = "3/hour"
    key, secret = make_key()
    services.set_rate_limit(key=key, limit="2/hour", origin=ORIGIN)
    heads = {"Authorization": f"Bearer {secret}"}
    answers = [client.get("/api/v1/me", secure=True, headers=heads) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0]["RateLimit-Policy"] == '"key";q=2;w=3600'
    assert json.loads(answers[2].content)["key"] == key.pk
