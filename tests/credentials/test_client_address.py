"""The client's address, behind proxies that are trusted and proxies that are not."""

from ipaddress import ip_address

import pytest
from pytest_django import Settings

from audit.client_address import client_address, parse_address

pytestmark = pytest.mark.once


def client_of(peer: str, forwarded: str | None = None) -> str:
    return str(client_address(parse_address(peer), forwarded or ""))


def test_by_default_nobody_is_trusted(settings: Settings) -> None:
    settings.KEYPORTAL_TRUSTED_PROXIES = ()
    assert client_of("127.0.0.1", "203.0.113.9") == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:1234", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("2001:db8:f::1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("203.0.113.50", "6.6.6.6", "203.0.113.50"),
    ],
)
def test_the_first_untrusted_address_from_the_right_is_the_client(
    settings: Settings, peer: str, forwarded: str, client: str
) -> None:
    settings.KEYPORTAL_TRUSTED_PROXIES = ("10.0.0.0/8", "2001:db8:f::/48")
    assert client_of(peer, forwarded) == client


def test_a_unix_socket_has_no_address() -> None:
    assert client_address(None, "") is None


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "::g", "[::1", "1.2.3.4; DROP", "\x00"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) in (None, ip_address("::1") if text == "[::1" else None)
