"""The service that asks: how it shows who it is, how often it may ask, and that strangers can't shut it out."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from apikeys import services
from credentials.runtime.errors import WouldBlockError
from credentials.usage.counters import usage_counters
from credentials.verified_cache.cache import Record
from credentials.verified_cache.freshness import Lookup
from gateway.callers import Allowance, CallerLimitError
from gateway.verify import VerifyCall
from integrity.rings import index_ring
from tests.conftest import ORIGIN, MakeKey
from tests.limits import START, Clock, clock
from tests.oauth_client import FORM, basic
from vault.digests import index_digest
from vault.secret_format import new_secret

__all__ = ["clock"]  # a fixture

pytestmark = pytest.mark.django_db
ASKER = {"scopes": ["credentials:verify"], "restricted": True}
Ask = Callable[[str], Any]


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a window of its own for each test: its amount is read when it begins."""
    fresh = Allowance()
    monkeypatch.setattr("gateway.callers.allowance", lambda: fresh)


def verify(client: Client, credential: str, *, by: str) -> Any:
    body = json.dumps({"credential": credential})
    return client.post("/api/v1/verify", body, "application/json", secure=True, headers={"Authorization": by})


def introspect(client: Client, credential: str, *, by: str, **more: str) -> Any:
    form = "&".join(f"{name}={value}" for name, value in {"token": credential, **more}.items())
    return client.post("/oauth/introspect", form, FORM, secure=True, headers={"Authorization": by} if by else {})


@pytest.fixture(params=["verify", "introspection", "introspection by Bearer"])
def ask(request: pytest.FixtureRequest, client: Client, make_key: MakeKey) -> Ask:
    """Ask about a credential, as a service; `ask.asker` is its key."""
    key, secret = make_key(**ASKER)

    def call(credential: str) -> Any:
        if request.param == "verify":
            return verify(client, credential, by=f"Bearer {secret}")
        return introspect(
            client, credential, by=f"Bearer {secret}" if "Bearer" in request.param else basic(key.pk, secret)
        )

    call.asker = key  # type: ignore[attr-defined]
    return call


def is_good(answer: Any) -> bool:
    verdict = answer.json()
    return bool(verdict["valid"] if "valid" in verdict else verdict["active"])


@pytest.mark.finding("H34")
@pytest.mark.parametrize("own", [False, True])
def test_the_rate_limit_of_a_key_is_not_spent_by_asking(
    ask: Ask, make_key: MakeKey, settings: Settings, own: bool
) -> None:
    settings.KEYPORTAL_RATE_LIMIT = "5/minute"
    if own:
        services.set_rate_limit(key=ask.asker, limit="2/hour", origin=ORIGIN)  # type: ignore[attr-defined]
    for _ in range(12):
        answer = ask(make_key()[1])
        assert (answer.status_code, is_good(answer)) == (200, True)


@pytest.mark.finding("H34")
def test_the_limit_that_counts_is_that_of_the_credential(client: Client, make_key: MakeKey, settings: Settings) -> None:
    settings.KEYPORTAL_RATE_LIMIT = "3/minute"
    (_, asking), (_, busy), (_, other) = make_key(**ASKER), make_key(), make_key()
    codes = [verify(client, busy, by=f"Bearer {asking}").json()["code"] for _ in range(4)]
    assert codes == ["ok", "ok", "ok", "rate_limited"]
    assert verify(client, busy, by=f"Bearer {asking}").json()["about"]["retry_after"] > 0
    assert verify(client, other, by=f"Bearer {asking}").json()["code"] == "ok"


@pytest.mark.finding("H34")
def test_a_service_over_its_limit_gets_503_and_no_verdict(
    ask: Ask, make_key: MakeKey, settings: Settings, client: Client
) -> None:
    settings.KEYPORTAL_LIMIT_SERVICE = "3 per hour"
    _, shown = make_key()
    assert [ask(shown).status_code for _ in range(4)] == [200, 200, 200, 503]
    answer = ask(shown)
    assert int(answer["Retry-After"]) > 0
    assert {"valid", "active"}.isdisjoint(answer.json())
    assert answer.json().get("code", answer.json().get("error")) in ("unavailable", "temporarily_unavailable")
    assert "WWW-Authenticate" not in answer
    _, another = make_key(**ASKER)
    assert verify(client, shown, by=f"Bearer {another}").status_code == 200


def test_a_service_and_its_tokens_are_one(client: Client, make_key: MakeKey, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_SERVICE = "2 per hour"
    key, secret = make_key(**ASKER)
    head = {"Authorization": basic(key.pk, secret)}
    grant = client.post("/oauth/token", "grant_type=client_credentials", FORM, secure=True, headers=head)
    token = grant.json()["access_token"]
    statuses = [verify(client, "x", by=f"Bearer {credential}").status_code for credential in (secret, token, secret)]
    assert statuses == [200, 200, 503]


def test_a_service_is_counted_once_where_a_thread_goes_on(make_key: MakeKey) -> None:
    (asking, secret), (_, shown) = make_key(**ASKER), make_key()
    VerifyCall(
        f"Bearer {secret}", "", json.dumps({"credential": "x"}).encode(), None
    ).respond()  # the service is known now
    question = VerifyCall(f"Bearer {secret}", "", json.dumps({"credential": shown}).encode(), None)
    usage_counters().drain()
    with pytest.raises(WouldBlockError):
        question.respond(cache_without(shown))
    assert json.loads(question.respond())["valid"] is True
    counts = {(call.entry_point, call.credential): calls.count for call, calls in usage_counters().drain().items()}
    assert counts["api", asking.pk] == 1


def cache_without(secret: str) -> Lookup:
    """Return a lookup in a cache that has every credential but one."""

    def lookup(digest: bytes, load: Callable[[], Record | None]) -> Record | None:
        if digest == index_digest(index_ring().primary, secret):
            raise WouldBlockError
        return load()

    return lookup


@pytest.mark.finding("H47")
def test_a_guess_that_can_not_be_counted_is_answered_all_the_same(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_only(key: str) -> int:
        raise OperationalError("attempt to write a readonly database")

    monkeypatch.setattr("accounts.attempts.AttemptLimit.hit", lambda limit, key: read_only(key))
    answer = ask(new_secret("kp", "live"))
    assert (answer.status_code, is_good(answer)) == (200, False)
    assert "an unknown credential is not counted" in caplog.text


def test_an_allowance_begins_anew_with_each_window(clock: Clock, settings: Settings) -> None:
    settings.KEYPORTAL_LIMIT_SERVICE = "2 per minute"
    allowance = Allowance()
    for _ in range(2):
        allowance.spend("one")
        allowance.spend("two")
    with pytest.raises(CallerLimitError) as error:
        allowance.spend("one")
    assert 0 < error.value.retry_after <= 61
    clock.move_to(START + error.value.retry_after, tick=False)
    allowance.spend("one")


@pytest.mark.finding("H36")
@pytest.mark.conformance("IN-01")
def test_introspection_by_bearer(client: Client, make_key: MakeKey) -> None:
    (_, asking), (_, plain), (_, shown) = make_key(**ASKER), make_key(), make_key()
    assert introspect(client, shown, by=f"Bearer {asking}").json()["active"] is True
    assert introspect(client, shown, by=f"bearer  {asking}").json()["active"] is True

    def refusal(by: str, **more: str) -> tuple[int, str, str]:
        answer = introspect(client, shown, by=by, **more)
        return answer.status_code, answer.json()["error"], answer.get("WWW-Authenticate", "")

    assert refusal(f"Bearer {plain}")[:2] == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in refusal(f"Bearer {plain}")[2]
    assert 'scope="credentials:verify"' in refusal(f"Bearer {plain}")[2]
    for bad in (new_secret("kp", "live"), "a.b.c", "x"):
        assert refusal(f"Bearer {bad}")[:2] == (401, "invalid_token")
        assert refusal(f"Bearer {bad}")[2].startswith('Bearer realm="keyportal", error="invalid_token"')
    assert refusal(f"Bearer {asking}, Bearer {asking}")[:2] == (400, "invalid_request")
    assert refusal("Bearer")[:2] == (400, "invalid_request")
    assert refusal(f"Bearer {asking}", client_secret=asking)[:2] == (400, "invalid_request")
    assert refusal(f"Bearer {asking}", client_id="key_x")[:2] == (400, "invalid_request")
    assert refusal("")[:2] == (401, "invalid_client")


@pytest.mark.finding("H36")
def test_a_client_without_the_scope_is_known_and_told_what_it_lacks(client: Client, make_key: MakeKey) -> None:
    key, secret = make_key()
    answer = introspect(client, secret, by=basic(key.pk, secret))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert answer["WWW-Authenticate"].startswith("Bearer ")
    assert 'scope="credentials:verify"' in answer["WWW-Authenticate"]
