"""Calling an API with a key: who gets it, what is waited for, and what is said when it ends."""

import io
import warnings
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest
import requests

from keyportal_client.calling import BearerAdapter, BearerAuth, ClientCredentials, KeyEndingWarning, LoginTokens
from keyportal_client.calling.origins import Origins
from keyportal_client.calling.retrying import RefusedResponse, Repetitions, RetryPolicy, SentRequest, seconds_of
from keyportal_client.errors import AddressError, ConfigurationError, CredentialError
from tests.clients.calling.ways import WAYS, Pauses, Way
from tests.clients.stub import Received, Reply, Stub, as_json, problem, serving
from tests.waiting import DEADLINE
from vault.secret_format import new_secret

pytestmark = pytest.mark.once
GOOD = as_json({"reports": []})
LIMITED = problem(429, "rate_limited", Retry_After="7")
AWAY = problem(503, "unavailable", Retry_After="3")
ELSEWHERE = Reply(503, b"<html>down</html>", "text/html")


@pytest.fixture
def key() -> str:
    """A secret of this test's own: what was said of one is not said again."""
    return new_secret("kp", "live")


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def api() -> Iterator[Stub]:
    """An API behind a portal."""
    with serving(lambda request: GOOD) as started:
        yield started


def answers(stub: Stub, *replies: Reply) -> None:
    """Have an API give these answers, and then good ones."""
    left = list(replies)
    stub.answer = lambda request: left.pop(0) if left else GOOD


def test_what_was_carried_out_is_not_sent_again_for_what_it_led_to(
    api: Stub, key: str, pauses: Pauses, way: Way
) -> None:
    """A redirect after a POST leads to a GET, which is sent again alone, or not at all."""
    reports = [LIMITED]

    def answer(request: Received) -> Reply:
        if request.method == "POST":
            return Reply(303, headers={"Location": "/reports/1"})
        return reports.pop() if reports else GOOD

    api.answer = answer
    way(api.url, "POST", f"{api.url}/reports", body=b"{}", key=key, retries=pauses.policy())
    assert [request.method for request in api.received].count("POST") == 1


def test_the_api_gets_the_key(api: Stub, key: str, way: Way) -> None:
    assert way(api.url, "GET", f"{api.url}/reports", key=key) == (200, GOOD.body)
    assert [request.headers["Authorization"] for request in api.received] == [f"Bearer {key}"]


def test_nobody_else_does(api: Stub, key: str, way: Way) -> None:
    with serving(lambda request: GOOD) as other:
        way(api.url, "GET", f"{other.url}/reports", key=key)
        for status in (301, 302, 303, 307, 308):
            api.answer = Redirect(status, other.url)
            assert way(api.url, "GET", f"{api.url}/reports", key=key).status == 200
        assert len(other.received) == 6
        assert not any("Authorization" in request.headers for request in other.received)


def test_what_a_response_says_was_sent_has_no_key(api: Stub, key: str) -> None:
    with BearerAdapter(api.url, key=key).mount_on(requests.Session()) as session:
        assert "Authorization" not in session.get(f"{api.url}/reports", timeout=DEADLINE).request.headers


def test_a_redirect_within_the_api_keeps_the_key(api: Stub, key: str, way: Way) -> None:
    api.answer = lambda request: GOOD if request.path == "/new" else Reply(307, headers={"Location": "/new"})
    assert way(api.url, "GET", f"{api.url}/old", key=key).status == 200
    assert [request.headers["Authorization"] for request in api.received] == [f"Bearer {key}"] * 2


def test_who_it_is_redirected_to_has_no_say(api: Stub, key: str, way: Way, pauses: Pauses) -> None:
    ends = {"Sunset": "Mon, 02 Mar 2026 12:00:00 GMT"}
    with serving(lambda request: Reply(503, b"", "text/plain", {"Retry-After": "1", **ends})) as other:
        api.answer = Redirect(307, other.url)
        assert way(api.url, "GET", f"{api.url}/reports", key=key, retries=pauses.policy()).status == 503
    assert pauses.all == []


class Redirect:
    """An API that is said to be elsewhere."""

    def __init__(self, status: int, elsewhere: str) -> None:
        self.status = status
        self.elsewhere = elsewhere

    def __call__(self, request: Received) -> Reply:
        return Reply(self.status, headers={"Location": f"{self.elsewhere}/there"})


def test_it_waits_as_long_as_the_api_says(api: Stub, key: str, way: Way, pauses: Pauses) -> None:
    answers(api, LIMITED, AWAY)
    assert way(api.url, "POST", f"{api.url}/reports", body=b"{}", key=key, retries=pauses.policy()).status == 200
    assert [request.body for request in api.received] == [b"{}"] * 3
    assert 7 <= pauses.all[0] <= 8
    assert 3 <= pauses.all[1] <= 4


def test_a_date_is_waited_for_too(key: str, pauses: Pauses) -> None:
    at = 1_772_362_800.0
    assert seconds_of(formatdate(at + 90, usegmt=True), at=at) == 90
    assert seconds_of(formatdate(at - 90, usegmt=True), at=at) == 0
    assert seconds_of(" 12 ", at=at) == 12
    for nonsense in ("", "soon", "-5", "1e3", "٣", "9" * 40, "Mon, 99 Mar 2026 12:00:00 GMT"):
        assert seconds_of(nonsense, at=at) is None


def test_without_a_word_the_waits_double_and_end(api: Stub, key: str, way: Way, pauses: Pauses) -> None:
    answers(api, *[ELSEWHERE] * 9)
    assert way(api.url, "GET", f"{api.url}/reports", key=key, retries=pauses.policy()) == (503, ELSEWHERE.body)
    assert len(api.received) == 7
    for wait, least in zip(pauses.all, (0.5, 1, 2, 4, 8, 16), strict=True):
        assert least <= wait <= least + max(0.5, 0.1 * least)


def test_an_outage_is_outlasted_although_each_refusal_says_to_come_back_soon(
    api: Stub, key: str, way: Way, pauses: Pauses
) -> None:
    """A service that can't ask the portal says `Retry-After: 1`, however long that lasts."""
    soon = problem(503, "unavailable", Retry_After="1")
    answers(api, *[soon] * 6)
    assert way(api.url, "GET", f"{api.url}/reports", key=key, retries=pauses.policy()).status == 200
    for wait, least in zip(pauses.all, (1, 1, 2, 4, 8, 16), strict=True):
        assert least <= wait <= least + max(0.5, 0.1 * least)


def test_what_would_take_too_long_is_not_waited_for(api: Stub, key: str, way: Way, pauses: Pauses) -> None:
    answers(api, LIMITED, LIMITED, LIMITED)
    assert way(api.url, "GET", f"{api.url}/reports", key=key, retries=pauses.policy(total=17)).status == 429
    assert len(api.received) == 3
    answers(api, LIMITED)
    assert way(api.url, "GET", f"{api.url}/reports", key=key, retries=pauses.policy(repeats=0)).status == 429


def test_waits_differ_so_that_clients_do_not_return_together() -> None:
    sent, refused = SentRequest("GET", can_replay=True), RefusedResponse(429, "7")
    waits = {Repetitions(RetryPolicy(), sent).after(refused) for _ in range(9)}
    assert len(waits) > 1


def test_another_token_is_tried_once_and_only_with_the_whole_request() -> None:
    refusal = RefusedResponse(401, "", is_of_the_token=True)
    repetitions = Repetitions(RetryPolicy(), SentRequest("POST", can_replay=True))
    assert [repetitions.after(refusal) for _ in range(2)] == ["renew", None]
    assert Repetitions(RetryPolicy(), SentRequest("POST", can_replay=False)).after(refusal) is None


def test_a_verdict_is_not_repeated(api: Stub, key: str, way: Way, pauses: Pauses) -> None:
    for status in (400, 401, 403, 500, 502):
        api.received.clear()
        answers(api, problem(status, "revoked", WWW_Authenticate='Bearer error="invalid_token"'))
        assert way(api.url, "GET", f"{api.url}/reports", key=key, retries=pauses.policy()).status == status
        assert (len(api.received), pauses.all) == (1, [])


def test_what_may_have_been_done_is_not_done_twice(api: Stub, key: str, way: Way, pauses: Pauses) -> None:
    """A 503 of the API itself, which need not have refused before it acted, unlike one of the check of keys."""
    answers(api, ELSEWHERE)
    how: dict[str, Any] = {"body": b"{}", "key": key, "retries": pauses.policy()}
    assert way(api.url, "POST", f"{api.url}/reports", **how).status == 503
    answers(api, ELSEWHERE)
    assert way(api.url, "POST", f"{api.url}/reports", headers={"Idempotency-Key": "k"}, **how).status == 200
    answers(api, ELSEWHERE)
    assert way(api.url, "PUT", f"{api.url}/reports", **how).status == 200


def test_a_body_that_is_gone_is_not_sent_again(api: Stub, key: str, pauses: Pauses) -> None:
    answers(api, LIMITED, LIMITED)
    auth = BearerAuth(api.url, key=key, retries=pauses.policy())
    with httpx.Client(auth=auth, trust_env=False) as client:
        assert client.post(f"{api.url}/reports", content=iter([b"once"])).status_code == 429
    with BearerAdapter(api.url, key=key, retries=pauses.policy()).mount_on(requests.Session()) as session:
        assert session.post(f"{api.url}/reports", data=io.BytesIO(b"once")).status_code == 429
    assert pauses.all == []


ENDS = {"Deprecation": "@1772280000", "Sunset": "Mon, 02 Mar 2026 12:00:00 GMT"}
EXPIRES = {"X-Keyportal-Expires": "2026-03-31T11:00:00Z"}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (ENDS, "replaced on 2026-02-28 at 12:00 UTC, and stops working on 2026-03-02 at 12:00 UTC."),
        (EXPIRES, "This API key expires on 2026-03-31 at 11:00 UTC."),
        ({"Sunset": "soon"}, "was replaced, and stops working. Ask"),
        ({"X-Keyportal-Expires": "2026-13-01T00:00:00Z"}, "This API key expires. Ask"),
        ({"Deprecation": "@99999999999"}, "was replaced"),
    ],
)
def test_the_end_of_a_key_is_announced_once(
    api: Stub, key: str, way: Way, caplog: pytest.LogCaptureFixture, headers: dict[str, str], said: str
) -> None:
    api.answer = lambda request: Reply(200, GOOD.body, headers=headers)
    with pytest.warns(KeyEndingWarning) as caught:
        way(api.url, "GET", f"{api.url}/reports", key=key)
    assert said in str(caught[0].message)
    [logged] = [record.message for record in caplog.records if record.name == "keyportal_client"]
    assert logged == f"keyportal: {caught[0].message}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert way(api.url, "GET", f"{api.url}/reports", key=key).status == 200
    with pytest.warns(KeyEndingWarning):
        way(api.url, "GET", f"{api.url}/reports", key=new_secret("kp", "live"))
    assert key not in caplog.text


@pytest.mark.parametrize(
    ("mine", "others"),
    [
        (
            "https://api.example.com/v1",
            [
                "https://api.example.com.evil.test/",
                "https://evil.test\\@api.example.com/",
                "https://api.example.com@evil.test/",
                "https://user:x@api.example.com/",
                "http://api.example.com/",
                "https://api.example.com:8443/",
                "https://api.example.com:port/",
                "//api.example.com/",
                "",
            ],
        ),
        ("http://127.0.0.1:8000", ["http://127.0.0.1:8001/", "http://localhost:8000/", "https://127.0.0.1:8000/"]),
    ],
)
def test_an_origin_is_scheme_host_and_port(mine: str, others: list[str]) -> None:
    origins = Origins((mine,))
    assert f"{mine}/reports?x=https://evil.test" in origins
    assert [other for other in others if other in origins] == []
    assert "https://API.example.com:443/x" in Origins(("https://api.example.com",))


def test_a_client_that_is_set_up_wrongly_is_told(key: str) -> None:
    for make in (BearerAuth, BearerAdapter):
        for apis in ((), ("http://api.example.com",), ("api",), ("ftp://api.example.com",)):
            with pytest.raises(AddressError, match=r"https://api\.example\.com"):
                make(*apis, key=key)
        with pytest.raises(ConfigurationError):
            make("https://api.example.com")
        with pytest.raises(ConfigurationError):
            make("https://api.example.com", key=key, credential=LoginTokens("https://keys.example.com"))
        with pytest.raises(CredentialError):
            make("https://api.example.com", key="kp live")
    with pytest.raises(CredentialError):
        ClientCredentials("https://keys.example.com", "kp\nlive")


def test_no_secret_is_shown(key: str) -> None:
    credential = ClientCredentials("https://keys.example.com", key)
    login = LoginTokens("https://keys.example.com")
    for one in (BearerAuth("https://a.example", key=key), BearerAdapter("https://a.example", credential=credential)):
        assert key not in repr(one)
        assert "https://a.example" in repr(one)
    assert (key in repr(credential), "keys.example.com" in repr(login)) == (False, True)
