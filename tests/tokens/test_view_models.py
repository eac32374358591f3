"""What the page of signed-in apps shows of a log-in."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tokens.models import TokenFamily
from tokens.states import GOOD, State
from tokens.view_models import app_row

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def family(**fields: Any) -> TokenFamily:
    return TokenFamily(id="fam_1", started_at=AT, refreshed_at=AT, **fields)


@pytest.mark.parametrize(
    ("agent", "program", "end_label"),
    [
        ("acme-cli/2.1", "acme-cli/2.1", "End acme-cli/2.1, since 1 Mar 2026, 09:30 UTC"),
        ("a\u202ebc", "abc", "End abc, since 1 Mar 2026, 09:30 UTC"),
        ("", "Unknown program", "End unknown program, since 1 Mar 2026, 09:30 UTC"),
        ("\u200b", "Unknown program", "End unknown program, since 1 Mar 2026, 09:30 UTC"),
    ],
    ids=ascii,
)
def test_a_program_is_named_without_what_nobody_can_see(agent: str, program: str, end_label: str) -> None:
    row = app_row(family(agent=agent))
    assert (row.program, row.end_label) == (program, end_label)


def test_a_row_says_from_where_for_what_and_at_which_service() -> None:
    row = app_row(family(address="192.0.2.1", scopes="a:a b:b", audience="https://reports.test"))
    assert (row.address, row.scopes, row.audience) == ("192.0.2.1", ["a:a", "b:b"], "https://reports.test")
    bare = app_row(family())
    assert (bare.address, bare.scopes, bare.audience) == ("an unknown address", [], "")


@pytest.mark.parametrize("hostile", [b"x", 7], ids=repr)
def test_a_row_that_the_portal_did_not_write_is_shown_without_an_error(hostile: Any) -> None:
    row = app_row(family(agent=hostile, scopes=hostile))
    assert (row.program, row.scopes) == (str(hostile), [str(hostile)])


@pytest.mark.parametrize("code", [GOOD, "revoked", "paused", "nonsense"])
def test_one_state_is_good(code: str) -> None:
    assert State(code).is_good == (code == GOOD)
