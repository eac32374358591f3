"""Sets of ids as ranges, beside Python's own sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.id_ranges import IdRanges

pytestmark = [pytest.mark.once, pytest.mark.finding("H15")]
IDS = st.sets(st.integers(min_value=1, max_value=60))


def ranges(ids: set[int]) -> IdRanges:
    return IdRanges.of(sorted(ids))


def ids_in(found: IdRanges) -> set[int]:
    return {number for first, last in found.spans for number in range(first, last + 1)}


@given(IDS, IDS)
def test_id_ranges_do_what_sets_do(one: set[int], other: set[int]) -> None:
    assert ids_in(ranges(one)) == one
    assert ids_in(ranges(one) - ranges(other)) == one - other
    assert ids_in(IdRanges.union([ranges(one), ranges(other)])) == one | other
    assert IdRanges.parse(str(ranges(one))) == ranges(one)
    assert len(ranges(one)) == len(one)
    assert {number for number in range(62) if number in ranges(one)} == one


def test_a_gap_separates_two_ranges() -> None:
    assert str(IdRanges.of([1, 2, 3, 5, 7, 8])) == "1-3 5 7-8"
    assert str(IdRanges()) == ""


@pytest.mark.parametrize("text", ["x", "1-", "-1", "5 1", "1-2-3", "3-1", "1 2", "1-5 3", " 1", "1  3", "１"])
def test_a_text_that_the_portal_did_not_write_is_no_ranges(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        IdRanges.parse(text)
