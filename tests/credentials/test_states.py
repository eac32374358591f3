"""Whether the state of a record allows a call: each reason with what is told, at its moment, and in its order."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from accounts.times import rfc3339
from credentials.credential import Credential, Owner
from credentials.record import VerifiedRecord, check_state
from credentials.refusals import Refusal, RefusedError

pytestmark = pytest.mark.once
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
HERE = ip_address("192.0.2.7")
ABOUT = {"key": "key_1", "name": "billing"}
OWNER = Owner("usr_1", "dev@example.com", is_active=True, confirmed_at=NOW, epoch=0, seal_is_valid=True)
GOOD = VerifiedRecord(
    credential=Credential(
        kind="api_key",
        id="key_1",
        name="billing",
        client_id="key_1",
        owner_id="usr_1",
        environment="live",
        scopes=frozenset({"a:a", "b:b"}),
        expires_at=NOW,
    ),
    owner=OWNER,
    counted_as="key_1",
    tags=("key:key_1",),
    about=ABOUT,
    seal_is_valid=True,
    is_terminal=False,
)
NETWORKS = (ip_network("198.51.100.0/24"), ip_network("2001:db8::/32"))
TOKEN = replace(GOOD, about={"token": "tok_1"}, counted_as="key_1")


def refusal_of(record: VerifiedRecord, **asked: Any) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        check_state(record, **{"at": NOW, "address": HERE, **asked})
    return caught.value.refusal


def allows(record: VerifiedRecord, **asked: Any) -> bool:
    check_state(record, **{"at": NOW, "address": HERE, **asked})
    return True


@pytest.mark.parametrize(
    ("fields", "code", "told"),
    [
        ({"is_terminal": True, "ended": {"at": "then", "reason": "x"}}, "revoked", {"at": "then", "reason": "x"}),
        ({"is_terminal": True}, "revoked", {}),
        ({"expires_at": NOW}, "expired", {"at": rfc3339(NOW)}),
        ({"retires_at": NOW}, "retired", {"at": rfc3339(NOW)}),
        ({"paused_at": NOW + MOMENT}, "paused", {"at": rfc3339(NOW + MOMENT)}),
        ({"owner": replace(OWNER, is_active=False)}, "owner_inactive", {}),
        ({"owner": replace(OWNER, confirmed_at=None)}, "account_unconfirmed", {}),
        ({"is_outdated": True}, "revoked", {}),
        ({"networks": NETWORKS}, "network_refused", {"address": "192.0.2.7"}),
    ],
)
def test_a_genuine_credential_is_told_why_it_is_refused(
    fields: dict[str, Any], code: str, told: dict[str, str]
) -> None:
    refusal = refusal_of(replace(GOOD, **fields))
    assert (refusal.code, refusal.counted_as, refusal.about) == (code, "key_1", {**ABOUT, **told})


@pytest.mark.parametrize("fields", [{"seal_is_valid": False}, {"owner": replace(OWNER, seal_is_valid=False)}])
def test_a_row_that_the_portal_did_not_write_is_unknown_and_logged(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "credentials.record"):
        refusal = refusal_of(replace(GOOD, **fields))
    assert (refusal.code, refusal.counted_as, refusal.about) == ("invalid_token", "", {})
    assert caplog.messages == ["integrity_violation: the row seal of key_1 or of its owner does not match"]


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, {}),
        ({"expires_at": NOW + MOMENT, "retires_at": NOW + MOMENT}, {}),
        ({}, {"address": None}),
        ({}, {"environment": "live", "scopes": ["a:a"]}),
        ({}, {"environment": "", "scopes": ()}),
        ({"networks": NETWORKS}, {"address": ip_address("198.51.100.255")}),
        ({"networks": NETWORKS}, {"address": ip_address("2001:db8::1")}),
        ({"key": GOOD}, {}),
    ],
)
def test_a_credential_in_a_good_state_is_allowed(fields: dict[str, Any], asked: dict[str, Any]) -> None:
    assert allows(replace(GOOD, **fields), **asked)


def test_without_an_address_no_network_allows_and_none_is_told() -> None:
    refusal = refusal_of(replace(GOOD, networks=NETWORKS), address=None)
    assert (refusal.code, refusal.about) == ("network_refused", ABOUT)


def test_the_other_environment_is_told() -> None:
    refusal = refusal_of(GOOD, environment="test")
    assert (refusal.code, refusal.about) == ("wrong_environment", {**ABOUT, "environment": "live"})


def test_the_scopes_that_are_needed_and_lacking_are_told() -> None:
    refusal = refusal_of(GOOD, scopes=["a:a", "c:c"])
    assert (refusal.code, refusal.scopes, refusal.lacking) == ("insufficient_scope", ("a:a", "c:c"), ("c:c",))
    assert (refusal.counted_as, refusal.about) == ("key_1", ABOUT)


def test_an_expiry_without_a_moment_of_its_own_is_told_as_none() -> None:
    credential = replace(GOOD.credential, expires_at=None)
    assert refusal_of(replace(GOOD, credential=credential, expires_at=NOW)).about["at"] == "None"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"expires_at": NOW}, "expired"),
        ({"paused_at": NOW}, "paused"),
        ({"is_terminal": True}, "revoked"),
        ({"networks": NETWORKS}, "network_refused"),
        ({"seal_is_valid": False}, "invalid_token"),
    ],
)
def test_a_token_is_refused_with_its_key(fields: dict[str, Any], code: str) -> None:
    refusal = refusal_of(replace(TOKEN, key=replace(GOOD, **fields)))
    assert refusal.code == code
    assert refusal.about.get("token") is None  # what is said is said of the key


def test_a_token_of_a_key_needs_what_is_asked_of_the_token_alone() -> None:
    key = replace(GOOD, credential=replace(GOOD.credential, environment="test", scopes=frozenset()))
    assert allows(replace(TOKEN, key=key), environment="live", scopes=["a:a"])


def test_the_first_reason_in_the_order_of_the_contract_is_told() -> None:
    reasons: list[tuple[str, dict[str, Any]]] = [
        ("revoked", {"is_terminal": True}),
        ("expired", {"expires_at": NOW}),
        ("retired", {"retires_at": NOW}),
        ("paused", {"paused_at": NOW}),
        ("owner_inactive", {"owner": replace(OWNER, is_active=False, confirmed_at=None, seal_is_valid=False)}),
        ("account_unconfirmed", {"owner": replace(OWNER, confirmed_at=None, seal_is_valid=False)}),
        ("invalid_token", {"seal_is_valid": False, "owner": OWNER}),
        ("revoked", {"is_outdated": True}),
        ("network_refused", {"networks": NETWORKS}),
    ]
    record = GOOD
    for code, fields in reversed(reasons):
        record = replace(record, **fields)
        assert refusal_of(record, scopes=["c:c"]).code == code
