"""Passwords in addresses of services: read as they were written, or the address is refused without showing it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict
from redis import ConnectionPool

from tests.settings_reader import Reading, read_settings

pytestmark = [pytest.mark.sweep, pytest.mark.once, pytest.mark.finding("H12")]
PLANTED = "pLaNtEd7"
ODD = (*"/?#@:%&+$=;,!*'()[]{}\\\"<>^`|~ü€漢 ", "%41", "%zz", "[x]", "[::1]")
PLACES = ("{}", "head{}", "a@b{}c", "12{}sslmode=require", "12{}x=1&y@z")
ENTRY_POINTS: dict[str, tuple[str, Callable[[Reading], Any]]] = {
    "DATABASE_URL": (
        "postgres://user:{}@db.example.com:5433/name",
        lambda reading: reading.values and reading.values["DATABASES"]["default"]["PASSWORD"],
    ),
    "KEYPORTAL_LISTEN_URL": (
        "postgresql://user:{}@db.example.com:5433/name",
        lambda reading: reading.values and conninfo_to_dict(reading.values["KEYPORTAL_LISTEN_URL"])["password"],
    ),
    "CACHE_URL": (
        "rediss://user:{}@cache.example.com:6380/1",
        lambda reading: (
            reading.values and ConnectionPool.from_url(reading.values["CACHE_URL"]).connection_kwargs["password"]
        ),
    ),
    "EMAIL_URL": (
        "smtp+tls://user:{}@mail.example.com:2525",
        lambda reading: reading.values and reading.values["EMAIL_HOST_PASSWORD"],
    ),
}
every_endpoint = pytest.mark.parametrize("name", ENTRY_POINTS)
ENCODE = "percent-encoded"


@every_endpoint
@pytest.mark.parametrize("odd", ODD)
def test_a_password_is_read_as_it_was_written_or_refused(name: str, odd: str) -> None:
    """django-environ ends it at a slash, and takes what is left for a host, a port or an option."""
    form, password_of = ENTRY_POINTS[name]
    for place in PLACES:
        for password in (place.format(f"{PLANTED}{odd}{PLANTED}"), place.format(odd)):
            reading = read_settings(**{name: form.format(password)})
            if reading.values is None:
                (line,) = reading.lines
                assert line.startswith(f"keyportal: {name} ")
                assert ENCODE in line
                assert PLANTED not in line
            else:
                # A percent sign with two digits behind it can't be told from an encoded character.
                assert password_of(reading) == password.replace("%41", "A")
                assert reading.lines == []


@every_endpoint
@pytest.mark.parametrize("password", [*ODD, "".join(ODD), "1/2@3"])
def test_an_encoded_password_works(name: str, password: str) -> None:
    form, password_of = ENTRY_POINTS[name]
    reading = read_settings(**{name: form.format(quote(password, safe=""))})
    assert password_of(reading) == password
    assert reading.lines == []


@every_endpoint
def test_what_can_not_be_a_password_is_refused(name: str) -> None:
    form, _ = ENTRY_POINTS[name]
    for password in (
        f"{PLANTED}%FF",
        f"{PLANTED}%00",
        f"{PLANTED}%0A",
        f"{PLANTED}%",
        f"{PLANTED}\u2100",
        f"{PLANTED}[::",
    ):
        reading = read_settings(**{name: form.format(password)})
        assert reading.values is None
        assert len(reading.lines) == 1
        assert PLANTED not in reading.lines[0]


@every_endpoint
@pytest.mark.parametrize(
    "wrong",
    [
        "{scheme}://user:pLaNtEd7@",
        "{scheme}://user:pLaNtEd7@host:port/1",
        "{scheme}://user:pLaNtEd7@host:99999/1",
        "{scheme}://user:pLaNtEd7@host:70000/1",
        "{scheme}://user:pLaNtEd7@host/1/2",
        "{scheme}://user:pLaNtEd7@host/1?pLaNtEd7",
        "{scheme}://user:pLaNtEd7@host/1?pLaNtEd7=1",
        "{scheme}://user:pLaNtEd7@host/1?timeout=pLaNtEd7&sslmode=pLaNtEd7&socket_timeout=pLaNtEd7",
        "{scheme}://user:pLaNtEd7@[::1/1",
        "{scheme}://user:pLaNtEd7@[pLaNtEd7]/1",
        "{scheme}:user:pLaNtEd7@host/1",
        "mysql://user:pLaNtEd7@host/1",
        "pLaNtEd7",
        "user:pLaNtEd7@host",
        "{scheme}s://user:pLaNtEd7@host/1",
        "{scheme}://user:pLaNtEd7@ho st/1",
        "{scheme}://user:pLaNtEd7@host/" + "n" * 64,
    ],
)
def test_an_address_that_is_none_is_refused(name: str, wrong: str) -> None:
    form, _ = ENTRY_POINTS[name]
    reading = read_settings(**{name: wrong.format(scheme=form.partition("://")[0])})
    assert reading.values is None
    (line,) = reading.lines
    assert line.startswith(f"keyportal: {name} ")
    assert PLANTED not in line
