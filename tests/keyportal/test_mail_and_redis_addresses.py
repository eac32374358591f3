"""Addresses of mail servers and of Redis."""

import pytest

from tests.settings_reader import read_settings

pytestmark = [pytest.mark.sweep, pytest.mark.once, pytest.mark.finding("H12")]
PLANTED = "pLaNtEd7"


@pytest.mark.parametrize(
    ("address", "port", "tls", "ssl"),
    [
        ("smtp://mail.example.com", 25, False, False),
        ("smtp+tls://mail.example.com", 587, True, False),
        ("smtp+ssl://mail.example.com/", 465, False, True),
        ("smtp+tls://mail.example.com:2525", 2525, True, False),
    ],
)
def test_a_mail_server_has_the_port_of_its_kind(address: str, port: int, tls: bool, ssl: bool) -> None:
    values = read_settings(EMAIL_URL=address).values
    assert values is not None
    assert (values["EMAIL_PORT"], values["EMAIL_USE_TLS"], values["EMAIL_USE_SSL"]) == (port, tls, ssl)
    assert values["EMAIL_TIMEOUT"] == 5
    assert values["EMAIL_CONFIGURED"]


def test_a_mail_servers_time_is_the_operators() -> None:
    values = read_settings(EMAIL_URL="smtp://user%40example.com:x@mail.example.com?timeout=30").values
    assert values is not None
    assert (values["EMAIL_TIMEOUT"], values["EMAIL_HOST_USER"]) == (30, "user@example.com")


@pytest.mark.parametrize(
    "address",
    [
        "redis://cache.example.com",
        "rediss://cache.example.com:6380/1?ssl_ca_certs=/srv/ca.pem&socket_timeout=0.2",
        "valkey://:password@cache.example.com/0",
        "valkeys://cache.example.com/",
        "unix:///run/redis.sock?db=1",
        "unix://user:password@/run/redis.sock",
        "redis://[::1]:6379/0",
    ],
)
def test_a_redis_is_taken_in_each_of_its_spellings(address: str) -> None:
    reading = read_settings(CACHE_URL=address)
    assert reading.lines == []
    assert reading.option("CACHE_URL") == address


@pytest.mark.parametrize(
    "address",
    ["redis://", "redis:///0", "redis://host/one", "redis://host/0?db=", "redis://host/0?db=pLaNtEd7", "unix://"],
)
def test_a_redis_that_can_not_be_meant_is_refused(address: str) -> None:
    reading = read_settings(CACHE_URL=address)
    assert reading.values is None
    assert len(reading.lines) == 1
    assert PLANTED not in reading.lines[0]
