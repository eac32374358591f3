"""A verifier and a started portal: what changes there holds here, and what was counted here is shown there."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from keyportal_client import (
    AssertionVerifier,
    AsyncVerifier,
    CredentialRefusedError,
    VerdictUnavailableError,
    Verifier,
)
from tests.clients.verifying.scripted import warm
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.waiting import wait_until

SCOPE = "verified:read"
SERVICE = "https://reports.example.com"


@pytest.fixture(scope="module")
def service(portal: Portal) -> str:
    """The secret of a service's key."""
    portal.shell(f"Scope.objects.get_or_create(name={SCOPE!r}, defaults={{'description': 'v'}})")
    portal.make_developer("verifying-service@example.com")
    return portal.make_key("verifying-service@example.com", "--scope", "credentials:verify", "--restricted")[1]


@pytest.fixture(scope="module")
def verifier(portal: Portal, service: str) -> Iterator[Verifier]:
    with Verifier(portal.url, key=service, service="reports", timeout=60.0) as verifier:
        yield verifier


@pytest.fixture
def developer(portal: Portal, request: pytest.FixtureRequest) -> str:
    email = f"verified-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}@example.com"
    portal.make_developer(email)
    return email


@pytest.fixture
def key(portal: Portal, developer: str) -> ClientKey:
    return ClientKey(*portal.make_key(developer, "--scope", SCOPE, name="billing server"))


def code(verifier: Verifier, text: str, **needed: object) -> str:
    try:
        verifier.verify(text, **needed)  # type: ignore[arg-type]
    except CredentialRefusedError as error:
        return error.refusal.code
    return "ok"


def keep(verifier: Verifier, text: str) -> None:
    """Wait until the verifier judges a credential by its record."""
    store = verifier._state.verdicts.store
    wait_until(lambda: code(verifier, text) and store.get(store.digest(text)))


def counts(portal: Portal, credential: str) -> dict[str, int]:
    """Return how many calls of a credential the portal has counted, by entry point and outcome."""
    found = portal.shell(
        "import json; from collections import Counter; found = Counter()\n"
        f"for row in Usage.objects.filter(credential={credential!r}): "
        "found[row.entry_point + ' ' + row.outcome] += row.count\n"
        "print(json.dumps(found))"
    )
    counted: dict[str, int] = json.loads(found)
    return counted


def test_what_the_portal_says_at_first_and_what_the_record_says_later_is_the_same(
    verifier: Verifier, key: ClientKey
) -> None:
    first = verifier.verify(key.secret, scopes=(SCOPE,), environment="live", client_ip="192.0.2.7")
    keep(verifier, key.secret)
    assert verifier.verify(key.secret, scopes=(SCOPE,), environment="live", client_ip="192.0.2.7") == first
    assert (first.id, first.name, first.scopes, first.kind) == (key.id, "billing server", frozenset({SCOPE}), "api_key")


def test_pausing_resuming_and_revoking_hold_within_moments(portal: Portal, verifier: Verifier, key: ClientKey) -> None:
    keep(verifier, key.secret)
    portal.manage("pausekey", key.id, "--reason", "odd calls")
    wait_until(lambda: code(verifier, key.secret) == "paused")
    keep(verifier, key.secret)
    portal.manage("resumekey", key.id)
    wait_until(lambda: code(verifier, key.secret) == "ok")
    keep(verifier, key.secret)
    portal.revoke_key(key.id, "lost")
    wait_until(lambda: code(verifier, key.secret) == "revoked")
    keep(verifier, key.secret)
    with pytest.raises(CredentialRefusedError) as caught:
        verifier.verify(key.secret)
    assert (caught.value.refusal.about["key"], caught.value.refusal.about["reason"]) == (key.id, "lost")


def test_a_token_is_refused_once_its_key_is(
    portal: Portal, oauth_client: OAuthClient, verifier: Verifier, key: ClientKey
) -> None:
    token = oauth_client.client_token(key)
    assert verifier.verify(token, scopes=(SCOPE,)).client_id == key.id
    keep(verifier, token)
    portal.revoke_key(key.id)
    wait_until(lambda: code(verifier, token) == "revoked")
    forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    assert code(verifier, forged) == "invalid_token"


def test_every_call_is_counted_once(portal: Portal, service: str, developer: str) -> None:
    key = ClientKey(*portal.make_key(developer, "--scope", SCOPE, "--network", "192.0.2.0/24"))
    asked, judged = Counter[str](), Counter[str]()
    with Verifier(portal.url, key=service, service="counted", timeout=60.0) as verifier:
        store = verifier._state.verdicts.store
        while sum(judged.values()) < 20:
            address = "192.0.2.7" if judged["accepted"] < 15 else "198.51.100.1"
            is_known = store.get(store.digest(key.secret)) is not None
            found = code(verifier, key.secret, client_ip=address).replace("ok", "accepted")
            (judged if is_known else asked)[found] += 1
    sent = {f"counted {outcome}": count for outcome, count in judged.items()}
    sent |= {f"verify {outcome}": count for outcome, count in asked.items()}
    assert judged == {"accepted": 15, "network_refused": 5}
    wait_until(lambda: sum(counts(portal, key.id).values()) >= sum(sent.values()))
    assert counts(portal, key.id) == sent
    assert portal.shell(f"print(SourceAddress.objects.get(credential={key.id!r}).address)") == "192.0.2.7"


def test_a_key_with_a_rate_limit_is_counted_by_the_portal_alone(
    portal: Portal, verifier: Verifier, developer: str
) -> None:
    key = ClientKey(*portal.make_key(developer))
    portal.shell(
        f"key = APIKey.objects.get(pk={key.id!r}); key.rate_limit = '2/hour'; key.save(update_fields=['rate_limit'])"
    )
    codes = [code(verifier, key.secret) for _ in range(5)]
    assert (codes[:2], codes[-1]) == (["ok", "ok"], "rate_limited")


def test_the_event_loops_verifier_hears_of_it_too(portal: Portal, service: str, key: ClientKey) -> None:
    async def check() -> None:
        async with AsyncVerifier(portal.url, key=service, timeout=60.0) as verifier:
            assert (await verifier.authenticate(f"Bearer {key.secret}", scopes=(SCOPE,))).id == key.id
            await asyncio.to_thread(warm, verifier)
            portal.revoke_key(key.id)
            with pytest.raises(CredentialRefusedError, match="revoked"):
                await check_until_refused(verifier)

    async def check_until_refused(verifier: AsyncVerifier) -> None:
        while True:
            await verifier.verify(key.secret)

    asyncio.run(check())


def test_a_service_key_without_the_right_says_so(portal: Portal, key: ClientKey) -> None:
    with Verifier(portal.url, key=key.secret, timeout=60.0) as verifier, pytest.raises(VerdictUnavailableError):
        verifier.verify(key.secret)


def test_an_assertion_of_the_gateway_is_checked_by_the_published_keys(portal: Portal, key: ClientKey) -> None:
    answer = portal.get(f"/gateway/auth?aud={quote(SERVICE, safe='')}", Authorization=f"Bearer {key.secret}")
    assert answer.status == 200
    verifier, other = (AssertionVerifier(portal.url, service=name, timeout=60.0) for name in (SERVICE, "another"))
    credential = verifier.authenticate(answer.headers["x-keyportal-assertion"], scopes=(SCOPE,), environment="live")
    assert (credential.id, credential.scopes) == (key.id, frozenset({SCOPE}))
    with pytest.raises(CredentialRefusedError, match="invalid_token"):
        other.authenticate(answer.headers["x-keyportal-assertion"])
    for each in (verifier, other):
        each.close()
