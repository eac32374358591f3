"""Races at the management API between real requests on two workers, decided by SQLite and PostgreSQL alike."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from tests.parallel import all_at_once
from tests.portal import Answer, Portal
from tests.waiting import wait_until

KEYS = "/api/v1/keys"
MANAGER = ("--scope", "keys:read", "--scope", "keys:write")
JSON = {"Content-Type": "application/json"}


def call(portal: Portal, secret: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = {**JSON, "Authorization": f"Bearer {secret}", **headers}
    return portal.request(method, path, headers=sent, body=json.dumps(body or {}).encode())


def manager(portal: Portal, email: str) -> tuple[str, str]:
    portal.make_developer(email)
    return portal.make_key(email, *MANAGER)


def live_secrets(portal: Portal, key: str) -> int:
    return int(portal.shell(f"print(KeySecret.objects.filter(key='{key}').live().count())"))


@pytest.mark.security("R-09")
def test_of_twenty_rotations_at_once_one_wins_and_the_others_are_told(portal: Portal) -> None:
    _, secret = manager(portal, "race-rotate@example.com")
    key, _ = portal.make_key("race-rotate@example.com")
    answers = all_at_once(20, lambda _: call(portal, secret, "POST", f"{KEYS}/{key}/rotate", {"overlap": "1h"}))
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 19}
    assert {json.loads(answer.body)["code"] for answer in answers if answer.status == 409} == {"rotating"}
    assert live_secrets(portal, key) == 2


@pytest.mark.security("R-10")
def test_whatever_the_order_a_revocation_leaves_nothing_alive(portal: Portal) -> None:
    _, secret = manager(portal, "race-end@example.com")
    key, former = portal.make_key("race-end@example.com")

    def act(number: int) -> Answer:
        if number % 4:
            return call(portal, secret, "POST", f"{KEYS}/{key}/rotate", {"overlap": 0})
        return call(portal, secret, "DELETE", f"{KEYS}/{key}")

    answers = all_at_once(16, act)
    assert {answer.status for answer in answers} <= {201, 204, 409}
    secrets = [json.loads(answer.body)["secret"] for answer in answers if answer.status == 201]
    for text in (former, *secrets):
        assert portal.get("/api/v1/me", Authorization=f"Bearer {text}").status == 401
    assert portal.shell(f"print(KeySecret.objects.filter(key='{key}', ciphertext__isnull=False).count())") == "0"


@pytest.mark.security("Z-12")
def test_fifty_creations_with_one_idempotency_key_make_one_key(portal: Portal) -> None:
    _, secret = manager(portal, "race-create-once@example.com")
    once = {"Idempotency-Key": "race-7"}
    answers = all_at_once(50, lambda _: call(portal, secret, "POST", KEYS, {"name": "once"}, **once))
    assert {answer.status for answer in answers} <= {201, 409}
    shown = {json.loads(answer.body)["secret"] for answer in answers if answer.status == 201}
    assert len(shown) == 1
    assert {json.loads(answer.body)["code"] for answer in answers if answer.status == 409} <= {"idempotency_running"}
    assert (
        portal.shell("print(APIKey.objects.filter(name='once', owner__email='race-create-once@example.com').count())")
        == "1"
    )


def test_a_client_that_changes_its_secret_in_the_middle_of_a_run_sees_no_refusal(portal: Portal) -> None:
    portal.make_developer("swap@example.com")
    key, secret = portal.make_key("swap@example.com", "--scope", "self:rotate")
    current = [secret]
    refused: list[int] = []
    calls = [0] * 4
    is_running = [True]

    def run(place: int) -> None:
        while is_running[0]:
            status = portal.get("/api/v1/me", Authorization=f"Bearer {current[0]}").status
            calls[place] += 1
            if status != 200:
                refused.append(status)

    def have_called_since(before: list[int]) -> bool:
        """Return whether each has begun and ended a call since then: one more may have been under way."""
        return all(now >= then + 2 for now, then in zip(calls, before, strict=True))

    with ThreadPoolExecutor(len(calls)) as pool:
        clients = [pool.submit(run, place) for place in range(len(calls))]
        try:
            for _ in range(3):
                seen = calls.copy()
                answer = call(portal, current[0], "POST", f"{KEYS}/{key}/rotate", {"overlap": "1h"})
                assert answer.status == 201
                wait_until(partial(have_called_since, seen))  # both secrets work meanwhile
                current[0] = json.loads(answer.body)["secret"]
                wait_until(partial(have_called_since, calls.copy()))
                portal.shell(
                    f"from audit.origin import Origin; from apikeys.services import end_overlap; "
                    f"end_overlap(key=APIKey.objects.get(pk='{key}'), origin=Origin.of_command('test'))"
                )
        finally:
            is_running[0] = False
        for client in clients:
            client.result()
    assert refused == []
    assert live_secrets(portal, key) == 1


def test_the_answers_to_a_replaced_secret_say_until_when_it_works(portal: Portal) -> None:
    portal.make_developer("sunset@example.com")
    key, former = portal.make_key("sunset@example.com", "--scope", "self:rotate", "--expires", "2040-01-01")
    new = json.loads(call(portal, former, "POST", f"{KEYS}/{key}/rotate", {"overlap": "1h"}).body)["secret"]
    for path in ("/api/v1/me", "/gateway/auth", "/gateway/auth?scope=reports:read", f"{KEYS}/{key}"):
        old, current = (portal.get(path, Authorization=f"Bearer {secret}").headers for secret in (former, new))
        assert old["deprecation"].startswith("@")
        assert old["sunset"].endswith(" GMT")
        assert "deprecation" not in current
        assert "sunset" not in current
        assert "x-keyportal-expires" not in old | current


def test_every_answer_to_a_key_that_expires_within_a_month_says_when(portal: Portal) -> None:
    portal.make_developer("expires-soon@example.com")
    day = (datetime.now(UTC) + timedelta(days=29)).date()
    _, secret = portal.make_key("expires-soon@example.com", "--expires", str(day))
    for path in ("/api/v1/me", "/gateway/auth", "/gateway/auth?environment=test", "/api/v1/keys"):
        answer = portal.get(path, Authorization=f"Bearer {secret}")
        assert answer.headers["x-keyportal-expires"].endswith("T23:59:59Z")
