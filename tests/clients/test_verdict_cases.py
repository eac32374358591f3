"""clients/verdicts.json: the cases that everybody who judges by records has to agree on."""

import json
from collections import Counter
from typing import Any

import pytest

from credentials.refusals import REASONS
from tests.clients.verdict_file import FILE, render

pytestmark = pytest.mark.once

ELSEWHERE = {"missing_credential", "malformed_request", "invalid_token", "rate_limited", "unavailable", "misconfigured"}
"""Codes that no record decides."""
OF_LOG_INS = {"invalid_login", "mfa_required", "invalid_grant", "invalid_scope", "invalid_target"}


@pytest.fixture(scope="module")
def written() -> Any:
    return json.loads(FILE.read_text())


def test_the_cases_are_those_of_the_portal() -> None:
    assert FILE.read_text() == render(), "out of date: make verdicts"


def test_every_code_that_a_record_decides_has_many_cases(written: Any) -> None:
    codes = Counter(case["code"] for case in written["cases"])
    assert codes.keys() == {"ok", *REASONS} - ELSEWHERE - OF_LOG_INS
    assert min(codes.values()) > 20
    assert len(written["cases"]) > 500


def test_every_record_is_judged_and_every_case_has_its_record(written: Any) -> None:
    assert {case["record"] for case in written["cases"]} == written["records"].keys()
