"""KEYPORTAL_BIND: where the server listens."""

import pytest

from tests.settings_reader import read_settings

pytestmark = [pytest.mark.once, pytest.mark.finding("H12")]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("0.0.0.0:8000", ("0.0.0.0:8000",)),
        ("[::]:8000, 127.0.0.1:08000", ("[::]:8000", "127.0.0.1:8000")),
        ("[0:0::1]:1", ("[::1]:1",)),
        ("unix:/run/keyportal/socket", ("unix:/run/keyportal/socket",)),
    ],
)
def test_addresses_are_taken(given: str, taken: tuple[str, ...]) -> None:
    assert read_settings(KEYPORTAL_BIND=given).option("KEYPORTAL_BIND") == taken


@pytest.mark.parametrize(
    "given",
    [
        "8000",
        ":8000",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:8000:9000",
        "127.1:8000",
        "::1:8000",
        "[::1]",
        "[::1%lo]:8000",
        "[127.0.0.1]:8000",
        "localhost:8000",
        "http://127.0.0.1:8000",
        "unix:",
        "unix:socket",
        "unix:/a b",
        "fd://3",
        ",",
    ],
)
def test_anything_else_is_refused_by_name(given: str) -> None:
    """Unread, gunicorn would listen at all addresses for some of these, and end with a traceback for others."""
    reading = read_settings(KEYPORTAL_BIND=given)
    assert reading.values is None
    assert reading.lines[0].startswith("keyportal: KEYPORTAL_BIND ")
