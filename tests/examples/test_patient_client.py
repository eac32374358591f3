"""The client that waits: it gets through a limit and an outage, and never repeats a verdict."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.patient_client import TIMEOUT, session
from tests.databases import portal_database
from tests.portal import ROOT, Portal

pytestmark = pytest.mark.once
AMOUNT = 3
WINDOW = 2  # seconds


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal of one worker that lets three calls through in two seconds."""
    folder: Path = tmp_path_factory.mktemp("narrow")
    limit = {"KEYPORTAL_RATE_LIMIT": f"{AMOUNT} per {WINDOW} second"}
    with portal_database(folder) as database_url, Portal(folder, database_url, **limit).running(workers=1) as started:
        started.make_developer("patient@example.com")
        yield started


def test_it_waits_until_the_limit_lets_it_through(narrow: Portal) -> None:
    _, secret = narrow.make_key("patient@example.com")
    patient = session(secret)
    started = time.monotonic()
    answers = [patient.get(f"{narrow.url}/api/v1/me", timeout=TIMEOUT) for _ in range(2 * AMOUNT)]
    assert {answer.status_code for answer in answers} == {200}
    assert time.monotonic() - started >= WINDOW - 1
    waited = [len(answer.raw.retries.history) for answer in answers]
    assert waited[:AMOUNT] == [0] * AMOUNT
    assert sum(waited) >= 1


def test_it_survives_a_restart_of_the_portal(narrow: Portal) -> None:
    _, secret = narrow.make_key("patient@example.com")
    narrow.stop()
    threading.Timer(0.5, narrow.start, kwargs={"workers": 1}).start()
    assert session(secret).get(f"{narrow.url}/api/v1/me", timeout=TIMEOUT).status_code == 200


def test_a_refused_key_is_told_and_not_repeated(narrow: Portal) -> None:
    environment = {**os.environ, "API_KEY": "kp_live_nothing"}
    command = [sys.executable, "examples/patient_client.py", f"{narrow.url}/api/v1/me"]
    before = narrow.log.read_text().count("GET /api/v1/me")
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 1
    assert 'error="invalid_token"' in ended.stderr
    assert narrow.log.read_text().count("GET /api/v1/me") == before + 1
