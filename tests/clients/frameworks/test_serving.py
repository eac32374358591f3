"""The parts that all frameworks' modules share: networks, what a request says, plain identities, and the options."""

import re
from functools import partial
from typing import Any

import pytest

from keyportal_client.asgi import KeyportalMiddleware
from keyportal_client.django import requires as requires_of_django
from keyportal_client.drf import HasScope
from keyportal_client.errors import ConfigurationError, CredentialRefusedError
from keyportal_client.fastapi import Keyportal as FastAPIKeyportal
from keyportal_client.flask import Keyportal as FlaskKeyportal
from keyportal_client.refusals import REASONS, Refusal
from keyportal_client.serving.authenticator import Authenticator
from keyportal_client.serving.identity_headers import identity
from keyportal_client.serving.incoming import EnvironRequest, ScopeRequest
from keyportal_client.serving.networks import Networks
from keyportal_client.serving.responses import close_code, problem_response
from keyportal_client.starlette import Keyportal as StarletteKeyportal

pytestmark = pytest.mark.once
PROXIES = Networks(["10.0.0.0/8", "2001:db8::/32", "unix"], name="trusted_proxies")
SECRET = "kp_live_plantedInATest"
PLAIN = {
    "HTTP_X_KEYPORTAL_KEY": "key_1",
    "HTTP_X_KEYPORTAL_OWNER": "usr_1",
    "HTTP_X_KEYPORTAL_SCOPES": "reports:read reports:write",
    "HTTP_X_KEYPORTAL_ENVIRONMENT": "live",
    "HTTP_X_KEYPORTAL_KIND": "api_key",
}


@pytest.mark.parametrize(
    "peer", ["10.1.2.3", "10.1.2.3:4711", "::ffff:10.1.2.3", "2001:db8::1", "[2001:db8::1]:80", "", None]
)
def test_a_peer_in_a_network_is_known(peer: str | None) -> None:
    assert peer in PROXIES


@pytest.mark.parametrize("peer", ["11.1.2.3", "unix", "testclient", "10.1.2", "2001:db9::1", "10.0.0.0/8", "x" * 1000])
def test_another_peer_is_not(peer: str) -> None:
    assert peer not in PROXIES


def test_a_peer_without_an_address_is_in_no_network_that_does_not_say_so() -> None:
    assert None not in Networks(["0.0.0.0/0", "::/0"], name="trusted_proxies")


@pytest.mark.parametrize("texts", [["10.0.0.1/8"], ["proxy"], ["*"], "10.0.0.0/8"])
def test_what_is_no_network_is_said_at_once(texts: Any) -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        Authenticator(trusted_proxies=texts)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1,10.0.0.2 , 10.0.0.3", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("", "198.51.100.1", "198.51.100.1"),
        (None, None, None),
    ],
)
def test_the_client_is_the_first_from_the_right_whom_no_proxy_vouches_for(
    peer: str | None, forwarded: str | None, client: str | None
) -> None:
    lines = [(b"x-forwarded-for", forwarded.encode())] if forwarded is not None else []
    in_asgi = ScopeRequest({"client": (peer, 1) if peer is not None else None, "headers": lines})
    in_wsgi = EnvironRequest(
        {"REMOTE_ADDR": peer, **({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})}
    )
    assert in_asgi.client_ip(PROXIES) == in_wsgi.client_ip(PROXIES) == client


def test_lines_of_forwarded_addresses_are_one_list() -> None:
    lines = [(b"X-Forwarded-For", b"203.0.113.9"), (b"x-forwarded-for", b"198.51.100.1")]
    assert ScopeRequest({"client": ("10.0.0.1", 1), "headers": lines}).client_ip(PROXIES) == "198.51.100.1"


def test_a_request_does_not_show_what_was_sent() -> None:
    for incoming in (
        EnvironRequest({"REMOTE_ADDR": "192.0.2.1", "HTTP_AUTHORIZATION": f"Bearer {SECRET}"}),
        ScopeRequest({"client": None, "headers": [(b"authorization", SECRET.encode())]}),
    ):
        assert SECRET in incoming.values("Authorization")[0]
        assert SECRET not in repr(incoming)


def test_an_authenticator_does_not_show_its_key() -> None:
    authenticator = Authenticator(key=SECRET)
    assert SECRET not in f"{authenticator}{vars(authenticator)}"


async def app(scope: object, receive: object, send: object) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (FlaskKeyportal, {}, ["KEYPORTAL_PORTAL", "KEYPORTAL_KEY"]),
        (FastAPIKeyportal, {"portal": "https://keys.example.com"}, ["KEYPORTAL_KEY"]),
        (StarletteKeyportal, {"key": SECRET}, ["KEYPORTAL_PORTAL"]),
        (partial(KeyportalMiddleware, app), {"key": f"'{SECRET}'", "portal": "https://keys.example.com"}, ["quotes"]),
        (FlaskKeyportal, {"trust": "assertion", "audience": "reports"}, ["KEYPORTAL_PORTAL"]),
        (FastAPIKeyportal, {"trust": "headers", "trusted_networks": ["10.0.0.5"]}, []),
        (StarletteKeyportal, {"portal": "https://keys.example.com", "key": SECRET}, []),
    ],
)
def test_what_is_not_set_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, make: Any, options: Any, said: list[str]
) -> None:
    for name in ("KEYPORTAL_PORTAL", "KEYPORTAL_KEY"):
        monkeypatch.delenv(name, raising=False)
    make(**options)
    assert len(caplog.records) == bool(said)
    assert re.findall(r"KEYPORTAL_(?:PORTAL|KEY)(?= to)|quotes", caplog.text) == said
    assert SECRET not in caplog.text


def test_that_signatures_can_not_be_checked_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("keyportal_client.verifying.jws.HAS_JWT", False)
    FlaskKeyportal(trust="assertion", audience="reports", portal="https://keys.example.com")
    assert "pip install 'keyportal-client[tokens]'" in caplog.text


def test_a_plain_identity_is_whom_the_gateway_names() -> None:
    credential: Any = identity(EnvironRequest(dict(PLAIN)))
    assert (credential.id, credential.key_id, credential.owner_id) == ("key_1", "key_1", "usr_1")
    assert credential.scopes == {"reports:read", "reports:write"}


@pytest.mark.parametrize("key", ["", None])
def test_a_log_in_has_no_key(key: str | None) -> None:
    said = {**PLAIN, "HTTP_X_KEYPORTAL_KIND": "access_token", "HTTP_X_KEYPORTAL_SCOPES": ""}
    credential: Any = identity(EnvironRequest({**said, "HTTP_X_KEYPORTAL_KEY": key}))
    assert (credential.id, credential.client_id, credential.key_id) == ("usr_1", "portal", "")
    assert credential.scopes == frozenset()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OWNER", "usr_1,usr_2"),
        ("OWNER", "key_1"),
        ("OWNER", ""),
        ("KEY", "key_1, key_2"),
        ("KEY", ""),
        ("SCOPES", "reports:read,admin"),
        ("SCOPES", "reports:read  admin"),
        ("SCOPES", "reports:read\n"),
        ("ENVIRONMENT", "live,test"),
        ("ENVIRONMENT", ""),
        ("KIND", "session"),
    ],
)
def test_a_plain_identity_that_no_portal_wrote_is_none(name: str, value: str) -> None:
    found = identity(EnvironRequest({**PLAIN, f"HTTP_X_KEYPORTAL_{name}": value}))
    assert found == Refusal("malformed_request")


def test_a_header_that_may_be_there_once_is_not_chosen_from_several() -> None:
    incoming = ScopeRequest({"headers": [(b"authorization", b"one"), (b"authorization", b"two")]})
    with pytest.raises(CredentialRefusedError, match="malformed_request"):
        incoming.value("Authorization")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trust": "everybody"}, "trust is"),
        ({"trust": "headers"}, "trusted_networks"),
        ({"trust": "headers", "trusted_networks": []}, "trusted_networks"),
        ({"trust": "assertion"}, "audience"),
        ({"trusted_networks": ["10.0.0.0/8"]}, "trusted_proxies"),
        ({"trust": "assertion", "audience": "a", "trusted_networks": ["10.0.0.0/8"]}, "trusted_proxies"),
        ({"trust_proxies": ["10.0.0.0/8"]}, "The options are"),
    ],
)
def test_options_that_can_not_be_meant_open_nothing(options: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Authenticator(**options)


@pytest.mark.parametrize("scopes", [(print,), (["reports:read"],), ("",)])
def test_what_is_no_scope_is_said_where_it_is_written(scopes: Any) -> None:
    """A decorator without its parentheses, say."""
    modules = (FastAPIKeyportal(), FlaskKeyportal(), StarletteKeyportal())
    for requires in (*(module.requires for module in modules), requires_of_django, HasScope):
        with pytest.raises(ValueError, match="scopes are names"):
            requires(*scopes)


def test_what_is_required_is_an_environment_that_there_is() -> None:
    with pytest.raises(ValueError, match="live, test"):
        Authenticator(environment="production")


def test_a_problem_names_no_page_of_a_portal_that_is_not_known() -> None:
    assert b'"type"' not in problem_response(Refusal("unavailable"), "").body
    assert (
        b"https://keys.example.com/docs/errors/unavailable/"
        in problem_response(Refusal("unavailable"), "https://keys.example.com").body
    )


def test_each_code_closes_a_websocket_in_a_way_that_is_registered() -> None:
    codes = {code: close_code(Refusal(code)) for code in REASONS}
    assert set(codes.values()) == {1008, 1013, 3000, 3003}
    assert (codes["unavailable"], codes["revoked"], codes["network_refused"]) == (1013, 3000, 3003)
