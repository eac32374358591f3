"""Behind nginx and Caddy the portal knows where a request comes from, whatever the client writes about it."""

import json
from typing import Final

import pytest

from tests.fronts import OWNER, PASSWORD, Front
from tests.http2 import http2
from tests.oauth_client import ClientKey, basic
from tests.spellings import forged_headers

pytestmark = [pytest.mark.once, pytest.mark.finding("H2")]

FORGED: Final = "203.0.113.9"
BELIEVED: Final = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Request-ID", "Forwarded", "X-Forwarded-Host", "X-Real-IP")


def bound(front: Front, network: str) -> ClientKey:
    """Make a key that is good from this network."""
    client = ClientKey(*front.portal.make_key(OWNER))
    line = "key = APIKey.objects.get(pk='{}'); key.networks = '{}'; key.seal = key.make_seal(); key.save()"
    front.portal.shell(line.format(client.id, network))
    return client


def test_a_key_that_is_bound_to_a_network_works_from_there_and_in_no_spelling_from_elsewhere(front: Front) -> None:
    far, near = (f"Authorization: Bearer {bound(front, network).secret}" for network in (FORGED, "127.0.0.2"))
    for path in ("/api/v1/me", "/gateway/auth"):
        every = [*forged_headers("X-Forwarded-For", "X-Real-IP", value=FORGED), [f"Forwarded: for={FORGED}"]]
        for lines, answer in front.request_each("GET", path, every, far):
            assert answer.status == 403, lines
        for lines, answer in front.request_each("GET", path, [[], *every], near, source="127.0.0.2"):
            assert answer.status == 200, lines
        assert front.request("GET", path, near, source="127.0.0.3").status == 403


def test_the_trail_has_the_true_address_whatever_is_forged(front: Front) -> None:
    front.portal.forget_guesses()
    issued = "list(E.objects.filter(verb='app_logged_in').values_list('address', 'peer', 'request_id'))"
    show = f"import json; from audit.models import Event as E; print(json.dumps({issued}))"
    before = len(json.loads(front.portal.shell(show)))
    every = [*forged_headers(*BELIEVED, value=FORGED), *forged_headers("X-Request-ID", value="forged-by-the-client")]
    lines = [f"Authorization: {basic(OWNER, PASSWORD)}", "Content-Length: 0"]
    for spelt, answer in front.request_each("POST", "/api/v1/tokens", every, *lines, source="127.0.0.2"):
        assert answer.status == 200, spelt
        assert "forged" not in answer.header("x-request-id")
    events = json.loads(front.portal.shell(show))[before:]
    assert len(events) == len(every)
    assert {(address, peer) for address, peer, _ in events} == {("127.0.0.2", "127.0.0.1")}
    assert not {request_id for _, _, request_id in events} & {"forged-by-the-client", FORGED}


def test_nobody_gets_more_guesses_by_forging_where_they_come_from(front: Front) -> None:
    front.portal.forget_guesses()
    guess = f"Authorization: {basic('nobody@example.com', 'wrong')}"
    every = [forged_headers("X-Forwarded-For", value=f"203.0.113.{number}")[number] for number in range(12)]
    tried = front.request_each("POST", "/api/v1/tokens", every, guess, "Content-Length: 0", source="127.0.0.2")
    assert [answer.status for _, answer in tried] == [401] * 5 + [429] * 7
    assert front.request("POST", "/api/v1/tokens", guess, "Content-Length: 0", source="127.0.0.3").status == 401


def test_forged_names_come_to_nothing_over_http_2_either(front: Front) -> None:
    far = bound(front, f"{FORGED}/32")
    with http2(front.port, tls=True) as line:
        page = line.finish(line.open("GET", "/accounts/login/", []))
        assert page.status == 200
        assert "max-age" in page.headers["strict-transport-security"]
        for lines in forged_headers("X-Forwarded-Proto", value="http"):
            headers = [(name.lower(), value) for name, _, value in (text.partition(": ") for text in lines)]
            assert line.finish(line.open("GET", "/accounts/login/", headers)).status == 200, lines
        for lines in forged_headers("X-Forwarded-For", "X-Forwarded-Proto", value=FORGED):
            headers = [(name.lower(), value) for name, _, value in (text.partition(": ") for text in lines)]
            stream = line.open("GET", "/api/v1/me", [("authorization", f"Bearer {far.secret}"), *headers])
            assert line.finish(stream).status == 403, lines
