"""`POST /api/v1/usage`: verifiers report the calls that they judged themselves, and each is counted once."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from apikeys.models import APIKey
from credentials.usage.expired_rows import BATCH_KNOWN_FOR
from credentials.usage.models import AddressUsage, SourceAddress, Usage, UsageBatch
from gateway.usage_request import MAX_ADDRESSES, MAX_CALLS
from tests.conftest import MakeKey
from tests.gateway.test_asking import ASKER

pytestmark = pytest.mark.django_db
NOW: Final = datetime(2026, 11, 29, 12, 34, 56, tzinfo=timezone(timedelta(0)))
HOUR: Final = "2026-11-29T12:00:00Z"
BATCH: Final = "a-batch_0123456789"
Report = Callable[..., Any]


@pytest.fixture(autouse=True)
def _now() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def report(client: Client, make_key: MakeKey) -> Report:
    """Report calls, as a service."""
    _, service = make_key(**ASKER)

    def send(*calls: object, batch: object = BATCH, by: str = service, **more: object) -> Any:
        body = json.dumps({"batch": batch, "calls": list(calls), **more})
        headers = {"Authorization": f"Bearer {by}"}
        return client.post("/api/v1/usage", body, "application/json", secure=True, headers=headers)

    return send


def calls_of(key: APIKey, **changed: object) -> dict[str, object]:
    return {
        "credential": key.pk,
        "secret": key.secrets.get().pk,
        "entry_point": "reports",
        "outcome": "accepted",
        "hour": HOUR,
        "count": 7,
        "addresses": ["192.0.2.7"],
        **changed,
    }


def counted(key: APIKey) -> list[tuple[str, str, str, int]]:
    """Return the counts of a key: entry point, outcome, secret and number."""
    rows = Usage.objects.filter(credential=key.pk).order_by("entry_point", "outcome")
    return list(rows.values_list("entry_point", "outcome", "secret", "count"))


def test_what_is_reported_is_counted_as_the_portals_own_calls_are(report: Report, make_key: MakeKey) -> None:
    key, _ = make_key()
    answer = report(calls_of(key), calls_of(key, outcome="insufficient_scope", count=2))
    assert (answer.status_code, answer.json()) == (202, {"is_new": True, "left_out": []})
    secret = key.secrets.get().pk
    assert counted(key) == [("reports", "accepted", secret, 7), ("reports", "insufficient_scope", "", 2)]
    (used,) = SourceAddress.objects.filter(credential=key.pk)
    assert (used.secret, used.address, used.last_at) == (secret, "192.0.2.7", NOW)
    (of_address,) = AddressUsage.objects.filter(credential=key.pk)
    assert (of_address.address, of_address.count) == ("192.0.2.7", 7)


def test_the_same_batch_again_changes_nothing(report: Report, make_key: MakeKey) -> None:
    key, _ = make_key()
    report(calls_of(key))
    answer = report(calls_of(key))
    assert (answer.status_code, answer.json()["is_new"]) == (202, False)
    assert counted(key)[0][-1] == 7
    assert report(calls_of(key), batch=f"{BATCH}2").json()["is_new"] is True
    assert counted(key)[0][-1] == 14


def test_two_services_may_choose_the_same_name_for_a_batch(report: Report, make_key: MakeKey) -> None:
    key, _ = make_key()
    _, other = make_key(**ASKER)
    assert report(calls_of(key)).json()["is_new"] is True
    assert report(calls_of(key), by=other).json()["is_new"] is True
    assert counted(key)[0][-1] == 14
    assert BATCH not in set(UsageBatch.objects.values_list("pk", flat=True))


def test_unknown_credentials_are_left_out_and_said_so(report: Report, make_key: MakeKey) -> None:
    key, _ = make_key()
    unknown = f"key_{'0' * 22}"
    answer = report(calls_of(key, credential=unknown), calls_of(key), calls_of(key, credential=f"usr_{'0' * 22}"))
    assert answer.json() == {"is_new": True, "left_out": [0, 2]}
    assert not Usage.objects.filter(credential=unknown).exists()
    assert counted(key)[0][-1] == 7


def test_a_secret_of_another_key_is_not_counted_for_it(report: Report, make_key: MakeKey) -> None:
    (key, _), (other, _) = make_key(), make_key()
    report(calls_of(key, secret=other.secrets.get().pk), calls_of(key, secret=f"sec_{'0' * 22}"))
    assert counted(key) == [("reports", "accepted", "", 14)]


def test_calls_of_a_log_in_are_counted_for_its_account(report: Report, developer: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    assert report(calls_of(key, credential=developer.pk, secret=None)).json()["left_out"] == []
    assert Usage.objects.get(credential=developer.pk).count == 7


def test_with_several_addresses_nobody_knows_which_had_how_many(report: Report, make_key: MakeKey) -> None:
    key, _ = make_key()
    report(calls_of(key, addresses=["192.0.2.7", "2001:db8::1"]))
    assert set(SourceAddress.objects.filter(credential=key.pk).values_list("address", flat=True)) == {
        "",
        "192.0.2.7",
        "2001:db8::1",
    }
    assert list(AddressUsage.objects.filter(credential=key.pk).values_list("address", "count")) == [("", 7)]
    assert counted(key)[0][-1] == 7


@pytest.mark.parametrize(("ago", "is_taken"), [(23, True), (24, False), (0, True), (-1, True), (-2, False)])
def test_hours_that_are_too_old_or_yet_to_come_are_refused(
    report: Report, make_key: MakeKey, ago: int, is_taken: bool
) -> None:
    """What is older could be a batch whose id is forgotten. Clocks differ by an hour at most."""
    key, _ = make_key()
    hour = f"{NOW - timedelta(hours=ago):%Y-%m-%dT%H:00:00Z}"
    answer = report(calls_of(key, hour=hour))
    assert answer.status_code == (202 if is_taken else 400)
    assert counted(key) == [] if not is_taken else counted(key)[0][-1] == 7


def test_a_batch_is_known_for_longer_than_any_of_its_hours_is_taken(report: Report, make_key: MakeKey) -> None:
    key, _ = make_key()
    ahead = calls_of(key, hour="2026-11-29T13:00:00Z")
    first = NOW.replace(minute=0, second=0)
    with time_machine.travel(first, tick=False):
        assert report(ahead).json()["is_new"]
    with time_machine.travel(first + BATCH_KNOWN_FOR - timedelta(hours=1), tick=False):  # as clocks differ
        assert report(ahead).status_code == 400


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"credential": "tok_x"}, "/calls/0/credential"),
        ({"credential": None}, "/calls/0/credential"),
        ({"credential": 7}, "/calls/0/credential"),
        ({"secret": "kp_live_pasted"}, "/calls/0/secret"),
        ({"entry_point": "Reports"}, "/calls/0/entry_point"),
        ({"entry_point": "a" * 17}, "/calls/0/entry_point"),
        ({"outcome": "fine"}, "/calls/0/outcome"),
        ({"outcome": ["accepted"]}, "/calls/0/outcome"),
        ({"hour": "2026-11-29T12:30:00Z"}, "/calls/0/hour"),
        ({"hour": "2026-02-30T12:00:00Z"}, "/calls/0/hour"),
        ({"hour": "٢026-11-29T12:00:00Z"}, "/calls/0/hour"),
        ({"count": 0}, "/calls/0/count"),
        ({"count": True}, "/calls/0/count"),
        ({"count": 1.5}, "/calls/0/count"),
        ({"count": 10**9 + 1}, "/calls/0/count"),
        ({"addresses": "192.0.2.7"}, "/calls/0/addresses"),
        ({"addresses": ["192.0.2.700"]}, "/calls/0/addresses"),
        ({"addresses": ["192.0.2.7"] * (MAX_ADDRESSES + 1)}, "/calls/0/addresses"),
        ({"adress": []}, "/calls/0/adress"),
    ],
)
def test_a_mistake_is_pointed_at_and_nothing_is_counted(
    report: Report, make_key: MakeKey, changed: dict[str, object], pointer: str
) -> None:
    key, _ = make_key()
    answer = report(calls_of(key, **changed), calls_of(key))
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert all(str(value) not in answer.content.decode() for value in changed.values() if isinstance(value, str))
    assert counted(key) == []


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        ({"batch": "short"}, ["/batch"]),
        ({"batch": None}, ["/batch"]),
        ({"batch": "a" * 65}, ["/batch"]),
        ({"calls": []}, ["/calls"]),
        ({"calls": [{}] * (MAX_CALLS + 1)}, ["/calls"]),
        ({"calls": {}}, ["/calls"]),
        ({"calls": ["x"]}, ["/calls/0"]),
        ({"more": 1}, ["/more"]),
    ],
)
def test_a_mistake_of_the_batch_is_pointed_at(report: Report, sent: dict[str, object], pointers: list[str]) -> None:
    answer = report(**{"calls": [], **sent}) if "calls" in sent else report(calls_of_nobody(), **sent)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


def calls_of_nobody() -> dict[str, object]:
    return {"credential": f"key_{'0' * 22}", "entry_point": "x", "outcome": "accepted", "hour": HOUR, "count": 1}


def test_only_services_report(report: Report, client: Client, make_key: MakeKey) -> None:
    key, secret = make_key()
    answer = report(calls_of(key), by=secret)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (answer.json()["key"], answer.json()["name"]) == (key.pk, key.name)
    assert client.post("/api/v1/usage", "{}", "application/json", secure=True).status_code == 401
    assert counted(key) == []


def test_a_batch_costs_the_same_however_many_keys_it_names(report: Report, make_key: MakeKey) -> None:
    keys = [make_key()[0] for _ in range(12)]
    costs = []
    for place, amount in enumerate((1, 2, 12)):
        calls = [calls_of(key) for key in keys[:amount]]
        with CaptureQueriesContext(connection) as queries:
            assert report(*calls, batch=f"{BATCH}{place}").status_code == 202
        costs.append(len(queries))
    assert costs[1] == costs[2]
