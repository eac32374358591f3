"""The client that waits: it gets through a limit and an outage, and never repeats a verdict."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.retrying_client import make_session
from tests.databases import portal_database
from tests.portal import ROOT, Portal
from tests.ports import free_port
from tests.proxy import proxy_to
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once
AMOUNT = 3
WINDOW = 2  # seconds


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal of one worker that lets few calls through in a window that is soon over."""
    folder: Path = tmp_path_factory.mktemp("narrow")
    limit = {"KEYPORTAL_RATE_LIMIT": f"{AMOUNT} per {WINDOW} second"}
    with portal_database(folder) as database_url, Portal(folder, database_url, **limit).running(workers=1) as started:
        started.make_developer("patient@example.com")
        yield started


def test_it_waits_until_the_limit_lets_it_through(narrow: Portal) -> None:
    _, secret = narrow.make_key("patient@example.com")
    patient = make_session(secret)

    def refusals_before_the_answer() -> list[int]:
        answer = patient.get(f"{narrow.url}/api/v1/me", timeout=DEADLINE)
        assert answer.status_code == 200
        return [refusal.status for refusal in answer.raw.retries.history]

    assert refusals_before_the_answer() == []
    assert set(wait_until(refusals_before_the_answer)) == {429}


def test_it_survives_an_outage(narrow: Portal) -> None:
    _, secret = narrow.make_key("patient@example.com")
    with proxy_to(free_port()) as proxy:  # nobody is there

        def come_back() -> None:
            wait_until(lambda: proxy.refused)
            proxy.upstream = narrow.port

        back = threading.Thread(target=come_back)
        back.start()
        answer = make_session(secret).get(f"http://127.0.0.1:{proxy.port}/api/v1/me", timeout=DEADLINE)
        back.join()
    assert (answer.status_code, proxy.refused >= 1) == (200, True)


def test_a_refused_key_is_told_and_not_repeated(narrow: Portal) -> None:
    environment = {**os.environ, "API_KEY": "kp_live_nothing"}
    command = [sys.executable, "examples/retrying_client.py", f"{narrow.url}/api/v1/me"]
    before = narrow.log.read_text().count("GET /api/v1/me")
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert ended.returncode == 1
    assert 'error="invalid_token"' in ended.stderr
    assert narrow.log.read_text().count("GET /api/v1/me") == before + 1
