"""The client judges as the portal does: clients/verdicts.json has the cases."""

from collections import defaultdict
from typing import Any

import pytest

from keyportal_client.credential import Credential
from keyportal_client.errors import UnexpectedAnswerError
from keyportal_client.refusals import Refusal
from keyportal_client.times import time_of
from keyportal_client.verifying.client_address import client_address
from keyportal_client.verifying.record import record_of
from keyportal_client.verifying.record_check import check_record
from keyportal_client.verifying.requirements import Requirements, requirements
from tests.clients.verifying.samples import KEY, OF_A_KEY, OWNER, SECONDS, VERDICTS, a_record

pytestmark = pytest.mark.once

CASES: dict[str, list[dict[str, Any]]] = defaultdict(list)
for case in VERDICTS["cases"]:
    CASES[case["record"]].append(case)


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_about_a_record_is_the_portals(name: str) -> None:
    record = record_of(VERDICTS["records"][name])
    assert record is not None
    for case in CASES[name]:
        refusal = check_record(
            record,
            requirements(case["scopes"], case["environment"]),
            at=time_of(case["at"]).timestamp(),
            address=client_address(case["client_ip"]).address,
        )
        found = ("ok", {}) if refusal is None else (refusal.code, refusal.about)
        assert found == (case["code"], case["about"]), case


def test_a_record_says_whose_the_credential_is() -> None:
    record = a_record(expires_at="2026-04-01T00:00:00.5Z", scopes=["a", "b"])
    expires_at = time_of("2026-04-01T00:00:00.500000+00:00")
    assert record.credential == Credential(
        "api_key", KEY, "billing server", KEY, OWNER, "live", frozenset({"a", "b"}), expires_at
    )
    assert (record.counted_as, record.credential.key_id) == (KEY, KEY)


def test_calls_with_a_log_ins_token_are_its_owners() -> None:
    record = record_of(VERDICTS["records"]["token of a log-in: good"])
    assert record is not None
    assert (record.counted_as, record.credential.key_id) == (OWNER, "")


def test_a_token_that_is_not_good_yet_is_unknown() -> None:
    record = a_record(kind="access_token", not_before="2026-03-01T11:00:01Z")
    assert check_record(record, Requirements(), at=SECONDS, address=None) == Refusal("invalid_token")
    assert check_record(record, Requirements(), at=SECONDS + 1, address=None) is None


def test_a_refusal_of_what_is_good_elsewhere_tells_of_its_end() -> None:
    ends = {"replaced_at": "2026-02-28T12:00:00Z", "retires_at": "2026-03-02T12:00:00Z"}
    record = a_record(expires_at="2026-03-31T11:00:00Z", networks=["192.0.2.0/24"], **ends)
    headers = {
        "Deprecation": "@1772280000",
        "Sunset": "Mon, 02 Mar 2026 12:00:00 GMT",
        "X-Keyportal-Expires": "2026-03-31T11:00:00Z",
    }
    for code, needed in (("wrong_environment", requirements((), "test")), ("network_refused", requirements((), None))):
        refusal = check_record(record, needed, at=SECONDS, address=None)
        assert refusal is not None
        assert (refusal.code, refusal.headers) == (code, headers)
    address = client_address("192.0.2.7").address
    lacking = check_record(record, requirements(("more",), None), at=SECONDS - 1, address=address)
    assert lacking is not None
    assert (lacking.code, lacking.scopes) == ("insufficient_scope", ("more",))
    assert lacking.headers.keys() == {"Deprecation", "Sunset"}


@pytest.mark.parametrize("sent", [None, {"format": 2, "all": "is new"}])
def test_what_is_no_record_that_this_version_knows_is_not_judged_by(sent: object) -> None:
    assert record_of(sent) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"expires_at": "tomorrow"},
        {"expires_at": "9999-12-31T23:59:59-05:00"},
        {"networks": ["everywhere"]},
        {"scopes": "reports:read"},
        {"leeway": True},
        {"leeway": -1},
        {"id": "<script>"},
    ],
)
def test_a_record_that_says_nonsense_is_no_record(changed: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedAnswerError):
        record_of(OF_A_KEY | changed)


def test_what_no_request_can_need_is_a_mistake_of_the_service() -> None:
    with pytest.raises(ValueError, match="collection"):
        requirements("reports:read", None)
    with pytest.raises(ValueError, match="environment"):
        requirements((), "production")
