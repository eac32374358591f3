"""What `/diagnose/` finds in a request, by what the server noted of it."""

import re
from collections.abc import Iterable
from typing import Any, Final

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from audit.client_address import is_trusted_proxy, parse_address
from keyportal.diagnose.diagnosis import diagnosis_of
from keyportal.diagnose.findings import Finding, Level
from keyportal.errors.codes import CODES
from keyportal.http_server.environ import environ_of
from keyportal.http_server.plain_http import is_private
from keyportal.http_server.request import Request
from keyportal.views import DIAGNOSED
from tests.conftest import MakeKey
from tests.rows import rewrite
from vault.secret_format import new_id, new_secret

PROXY, CLIENT, OTHER = "10.0.0.1", "192.0.2.1", "203.0.113.7"
LIVE, TEST, REFRESH = (new_secret("kp", kind) for kind in ("live", "test", "refresh"))
CHANGED: Final = LIVE[:20] + ("A" if LIVE[20] != "A" else "B") + LIVE[21:]
BEARER: Final = f"Authorization: Bearer {LIVE}"


@pytest.fixture(autouse=True)
def one_trusted_proxy(settings: Settings) -> None:
    """Let the portal trust one proxy."""
    settings.KEYPORTAL_TRUSTED_PROXIES = [PROXY]


def findings(*lines: str, peer: str = CLIENT, tls: bool = True, query: str = "") -> dict[str, Finding]:
    """Return the findings of a request with these header lines by what they are about."""
    address = parse_address(peer)
    scheme = "https" if tls else "http"
    in_clear = not tls and not is_private(address)
    request = Request(address, is_trusted_proxy(address), scheme, in_clear)
    pairs = [line.encode().partition(b": ") for line in ("Host: portal.test", *lines)]
    request.method, request.headers = "GET", [(name.lower(), value) for name, _, value in pairs if name]
    request.named = dict(request.headers)
    request.set_target(b"/diagnose/?" + query.encode())
    diagnosis = diagnosis_of(WSGIRequest(environ_of(request, request.sender())))
    assert len({finding.about for finding in diagnosis.findings}) == len(diagnosis.findings)
    return {finding.about: finding for finding in diagnosis.findings}


def codes(found: Iterable[Finding]) -> list[str]:
    return [finding.code for finding in found if finding.level not in (Level.GOOD, Level.INFO)]


def test_a_request_without_a_fault_is_found_good() -> None:
    found = findings(BEARER)
    assert codes(found.values()) == []
    assert list(found) == ["Client address", "Scheme", "Host", "Authorization", "Credential", "Cookies"]


# --- the connection ---


@pytest.mark.finding("H2")
@pytest.mark.parametrize(
    ("peer", "lines", "code", "shown"),
    [
        (CLIENT, [], "address_direct", CLIENT),
        (CLIENT, [f"X-Forwarded-For: {OTHER}"], "address_header_ignored", CLIENT),
        (CLIENT, [f"X-Real-IP: {OTHER}"], "address_header_ignored", CLIENT),
        (CLIENT, [f"Forwarded: for={OTHER}"], "address_header_ignored", CLIENT),
        (PROXY, [f"X-Forwarded-For: {OTHER}"], "address_forwarded", OTHER),
        (PROXY, [f"X-Forwarded-For: 198.51.100.1, {OTHER}"], "address_forwarded", OTHER),
        (PROXY, [f"X-Forwarded-For: {PROXY}"], "address_forwarded", PROXY),  # a client on the proxy's own host
        (PROXY, [], "address_of_proxy", PROXY),
        (PROXY, [f"X-Real-IP: {OTHER}"], "address_of_proxy", PROXY),
        (PROXY, ["X-Forwarded-For: nonsense"], "address_of_proxy", PROXY),
        ("", [], "address_unknown", "None"),
    ],
)
def test_the_address_is_told_with_where_it_comes_from(peer: str, lines: list[str], code: str, shown: str) -> None:
    found = findings(*lines, peer=peer)["Client address"]
    assert (found.code, found.seen.partition(",")[0].partition(":")[0]) == (code, shown)
    assert all(address not in found.seen + found.advice for address in (PROXY, CLIENT, OTHER) if address != shown)
    assert bool(found.advice) is (found.level is Level.WARNING)


@pytest.mark.finding("H5")
@pytest.mark.parametrize(
    ("peer", "tls", "lines", "code"),
    [
        (CLIENT, True, [], "scheme_https"),
        (PROXY, False, ["X-Forwarded-Proto: https"], "scheme_https"),
        (PROXY, True, ["X-Forwarded-Proto: http"], "scheme_http_in_clear"),
        (CLIENT, False, [], "scheme_http_in_clear"),
        (CLIENT, False, ["X-Forwarded-Proto: https"], "scheme_http_in_clear"),
        ("127.0.0.1", False, [], "scheme_http_private"),
    ],
)
def test_the_scheme_is_told_with_where_it_comes_from(peer: str, tls: bool, lines: list[str], code: str) -> None:
    found = findings(*lines, peer=peer, tls=tls)["Scheme"]
    assert found.code == code
    assert ("reported in X-Forwarded-Proto" in found.seen) is (bool(lines) and peer == PROXY)
    assert ("X-Forwarded-Proto was ignored" in found.seen) is (bool(lines) and peer == CLIENT)


@pytest.mark.finding("H5")
def test_a_credential_that_others_could_read_is_to_be_replaced() -> None:
    assert "Replace the credential" in findings(BEARER, tls=False)["Scheme"].advice
    assert "Replace" not in findings(tls=False)["Scheme"].advice


@pytest.mark.finding("H18")
@pytest.mark.parametrize(
    ("host", "code"),
    [("portal.test", "host_expected"), ("PORTAL.test:443", "host_expected"), ("evil.example", "host_unexpected")],
)
def test_a_host_is_expected_or_not_and_not_told(host: str, code: str, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["portal.test"]
    request = Request(parse_address(CLIENT), is_trusted=False, scheme="https")
    request.method, request.headers = "GET", [(b"host", host.encode())]
    request.set_target(b"/diagnose/")
    environ = environ_of(request, request.sender())
    found = {finding.about: finding for finding in diagnosis_of(WSGIRequest(environ)).findings}["Host"]
    assert (found.code, environ["HTTP_HOST"]) == (code, settings.KEYPORTAL_HOST)
    assert host not in str(found)


# --- headers ---


@pytest.mark.finding("H2")
@pytest.mark.parametrize("name", ["X_Forwarded_For", "x.forwarded.for", "X-Forwarded_Proto", "Content_Type"])
def test_another_spelling_is_named_by_the_right_one(name: str) -> None:
    found = findings(f"{name}: planted")["Header names"]
    assert re.sub(r"[_.]", "-", name).title() in found.seen
    assert "planted" not in str(found)
    assert "Header names" not in findings("X-Forwarded-For: x", "Content-Type: a/b", "User_Agents: x")


@pytest.mark.parametrize("name", ["X-API-Key", "Api-Key", "X-Auth-Token", "Proxy-Authorization"])
def test_a_key_in_another_header_is_found(name: str) -> None:
    assert findings(f"{name}: {LIVE}")["Other headers"].code == "credential_elsewhere"


def test_a_credential_in_the_address_is_found() -> None:
    encoded = LIVE.replace("_", "%5F")
    for query in ("access_token=x", "a=b&api_key=x", "APIKEY=x", f"q={LIVE}", f"q=a+{encoded}+b"):
        assert findings(BEARER, query=query)["Address"].code == "credential_in_address"
    assert "Address" not in findings(BEARER, query="monkey=x&q=kp_live_x")


def test_cookies_are_counted_as_there_or_not() -> None:
    assert findings("Cookie: a=b")["Cookies"].code == "cookies"
    assert findings()["Cookies"].code == "no_cookies"


# --- Authorization ---

FAULTS: Final = {
    "": "empty",
    " ": "empty",
    f" {LIVE} {LIVE}": "spaces",
    f" {LIVE}, Bearer {LIVE}": "spaces",
    f" Bearer {LIVE}": "twice",
    f": {LIVE}": "punctuation",
    f"={LIVE}": "punctuation",
    f"\t{LIVE}": "punctuation",
    f' "{LIVE}"': "quotes",
    f" “{LIVE}”": "quotes",
    f" '{LIVE}": "quotes",
    " $KEY": "placeholder",
    " ${API_KEY}": "placeholder",
    " {{ api_key }}": "placeholder",
    " <your key>": "placeholder",
    ' "$KEY"': "placeholder",
    " %KEY%": "placeholder",
    f" {LIVE}é": "characters",
    f" {LIVE}\\n": "characters",
    f" {'x' * 9000}": "too_long",
}
"""What follows the word Bearer, and the fault that it is."""


@pytest.mark.parametrize(("rest", "fault"), FAULTS.items(), ids=FAULTS.values())
def test_what_is_wrong_with_a_bearer_header_is_told(rest: str, fault: str) -> None:
    found = findings(f"Authorization: Bearer{rest}")
    assert (found["Authorization"].code, "Credential" in found) == (f"authorization_{fault}", False)
    assert found["Authorization"].level is Level.DANGER


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "missing"),
        ([BEARER, BEARER], "several"),
        (["Authorization: Basic eDp5", BEARER], "several"),
        (["Authorization: Basic eDp5"], "other_scheme"),
        (["Authorization: Secretword x"], "other_scheme"),
        ([f"Authorization: {LIVE}"], "no_scheme"),
        ([f'Authorization: "{LIVE}"'], "no_scheme"),
        ([f'Authorization: "Bearer {LIVE}"'], "quotes"),
        (["Authorization: "], "empty"),
        (["Authorization: a_b c"], "other"),
    ],
)
def test_any_other_authorization_is_told_apart(lines: list[str], code: str) -> None:
    found = findings(*lines)
    assert (found["Authorization"].code, "Credential" in found) == (f"authorization_{code}", False)
    assert "Secretword" not in str(found)


FORMS: Final = [
    (LIVE, "live"),
    (TEST, "test"),
    (REFRESH, "refresh_token"),
    (CHANGED, "checksum"),
    (LIVE[:-1], "length"),
    (LIVE + "a", "length"),
    (LIVE[:-1] + "-", "alphabet"),
    ("kp_live", "length"),
    (LIVE.upper(), "case"),
    (LIVE.replace("live", "prod"), "kind"),
    ("kp_live_...3f8a", "hint"),
    (new_id("key"), "public_id"),
    ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "token"),
    ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0", "token_damaged"),
    ("a.b..c", "token_damaged"),
    ("YOUR_API_KEY", "placeholder"),
    ("your-key-here", "placeholder"),
    ("xxxx", "placeholder"),
    ("undefined", "placeholder"),
    ("sk_live_abcdef", "foreign"),
    ("monkey", "foreign"),
]
"""Credentials, and what each looks like."""


@pytest.mark.parametrize(("credential", "code"), FORMS, ids=[code for _, code in FORMS])
def test_the_form_of_a_credential_is_told_and_nothing_of_it(credential: str, code: str) -> None:
    found = findings(f"Authorization: bearer {credential}")
    assert (found["Authorization"].code, found["Credential"].code) == ("authorization_bearer", f"credential_{code}")
    assert credential not in str(found)
    assert found["Credential"].level is (Level.GOOD if code in ("live", "test", "token") else Level.DANGER)


def test_how_much_is_missing_is_told() -> None:
    assert "3 characters too short" in findings(f"Authorization: Bearer {LIVE[:-3]}")["Credential"].seen
    assert "2 characters too long" in findings(f"Authorization: Bearer {LIVE}xx")["Credential"].seen


# --- the page ---


def shown(client: Client, credential: str, **more: Any) -> str:
    """Return the page without what differs from request to request."""
    answer = client.get("/diagnose/", secure=True, headers={"Authorization": f"Bearer {credential}"}, **more)
    assert answer.status_code == 200
    return answer.content.decode().partition("\nRequest ")[0]


@pytest.mark.django_db
def test_no_answer_depends_on_whether_a_credential_is_known(
    client: Client, make_key: MakeKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    key, known = make_key()
    rewrite(key, networks="198.51.100.0/24")
    expected = shown(client, LIVE)
    with django_assert_num_queries(0):
        assert shown(client, known) == expected


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_it_takes_get_alone(client: Client, method: str) -> None:
    answer = getattr(client, method)("/diagnose/", secure=True)
    assert (answer.status_code, answer["Allow"].startswith("GET, HEAD")) == (405, True)


@pytest.mark.django_db
def test_the_pages_of_codes_where_it_helps_lead_to_it(client: Client) -> None:
    pages = {code: client.get(f"/docs/errors/{code}/", secure=True).content.decode() for code in CODES}
    assert {code for code, page in pages.items() if 'href="/diagnose/"' in page} == set(DIAGNOSED)
