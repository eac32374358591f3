"""Clients of APIs at a started portal: they get through a limit and an outage, exchange keys, and stay logged in."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests

from keyportal_client.calling import BearerAdapter, BearerAuth, ClientCredentials, LoginTokens, TokenFile
from keyportal_client.errors import NotLoggedInError
from tests.clients.command import PASSWORD
from tests.databases import portal_database
from tests.portal import Portal
from tests.ports import free_port
from tests.proxy import proxy_to
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once
AMOUNT = 3
WINDOW = 2
"""Seconds."""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal of one worker that lets few calls through in a window that is soon over."""
    folder: Path = tmp_path_factory.mktemp("narrow")
    limit = {"KEYPORTAL_RATE_LIMIT": f"{AMOUNT} per {WINDOW} second"}
    with portal_database(folder) as database_url, Portal(folder, database_url, **limit).running(workers=1) as started:
        started.make_developer("client@example.com")
        yield started


def test_it_waits_until_the_limit_lets_it_through(narrow: Portal) -> None:
    _, secret = narrow.make_key("client@example.com")
    with httpx.Client(auth=BearerAuth(narrow.url, key=secret), trust_env=False, timeout=DEADLINE) as client:

        def refusals_before_the_answer() -> list[int]:
            answer = client.get(f"{narrow.url}/api/v1/me")
            assert answer.status_code == 200
            return [refusal.status_code for refusal in answer.history]

        assert refusals_before_the_answer() == []
        assert set(wait_until(refusals_before_the_answer)) == {429}


def test_it_survives_an_outage(narrow: Portal) -> None:
    _, secret = narrow.make_key("client@example.com")
    with proxy_to(free_port()) as proxy:  # nobody is there
        address = f"http://127.0.0.1:{proxy.port}"
        session = BearerAdapter(address, key=secret).mount_on(requests.Session())

        def come_back() -> None:
            wait_until(lambda: proxy.refused)
            proxy.upstream = narrow.port

        back = threading.Thread(target=come_back)
        back.start()
        answer = session.get(f"{address}/api/v1/me", timeout=DEADLINE)
        back.join()
    assert (answer.status_code, proxy.refused >= 1) == (200, True)


def test_a_key_is_exchanged_for_tokens_that_the_api_takes(portal: Portal) -> None:
    owner = portal.make_developer("exchanging@example.com")
    key, secret = portal.make_key("exchanging@example.com")
    credential = ClientCredentials(portal.url, secret)
    with httpx.Client(auth=BearerAuth(portal.url, credential=credential), trust_env=False) as client:
        me = client.get(f"{portal.url}/api/v1/me").json()
    assert (me["kind"], me["client_id"], me["owner"]) == ("access_token", key, owner)


def test_it_stays_logged_in_until_it_logs_out(portal: Portal, tmp_path: Path) -> None:
    portal.forget_guesses()
    owner = portal.make_developer("staying@example.com")
    file = TokenFile(tmp_path / "login.json")
    login = LoginTokens(portal.url, file)
    with pytest.raises(NotLoggedInError, match="Log in first"):
        login.current()
    login.log_in("staying@example.com", PASSWORD)
    assert PASSWORD not in (tmp_path / "login.json").read_text()
    before = login.current()
    held = file.load()
    assert held is not None
    file.save(held._replace(good_until=0))
    auth = BearerAuth(portal.url, credential=LoginTokens(portal.url, file))
    with httpx.Client(auth=auth, trust_env=False) as client:
        assert client.get(f"{portal.url}/api/v1/me").json()["owner"] == owner
    after = LoginTokens(portal.url, file)
    last = after.current()
    assert last != before
    after.log_out()
    assert portal.get("/api/v1/me", Authorization=f"Bearer {last}").status == 401


def test_a_log_in_that_was_ended_elsewhere_says_so(portal: Portal, tmp_path: Path) -> None:
    portal.forget_guesses()
    portal.make_developer("ended@example.com")
    file = TokenFile(tmp_path / "login.json")
    LoginTokens(portal.url, file).log_in("ended@example.com", PASSWORD)
    held = file.load()
    assert held is not None
    portal.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {held.access_token}"})
    file.save(held._replace(good_until=0))
    with pytest.raises(NotLoggedInError, match="Your log-in has ended"):
        LoginTokens(portal.url, file).current()
    assert file.load() is None
