"""A started portal and its mail server, which says nothing, comes back, or is in the middle of a message."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.databases import portal_database
from tests.mail_server import MailServer, Manners, mail_server
from tests.portal import FORM, WAITING, Portal
from tests.waiting import wait_until

pytestmark = pytest.mark.finding("H41")
PASSWORD = "correct horse battery staple"
SIGN_UP = "/accounts/signup/"
STRANGERS = [f"stranger{number}@example.com" for number in range(50)]
LIMITS = ("KEYPORTAL_LIMIT_SIGNUP", "KEYPORTAL_LIMIT_MAIL_FROM")


class Site(Portal):
    """A portal in production, behind a proxy that ends TLS."""

    def sign_up(self, email: str) -> int:
        """Sign up as a browser does; return the status of the answer."""
        https = {"X-Forwarded-Proto": "https"}
        page = self.get(SIGN_UP, **https)
        token = re.search(rb'csrfmiddlewaretoken" value="(\w+)"', page.body)
        assert token
        https |= {"Cookie": page.headers["set-cookie"].partition(";")[0], "Referer": f"https://127.0.0.1:{self.port}/"}
        fields = {"csrfmiddlewaretoken": token[1].decode(), "email": email, "password1": PASSWORD}
        https["Content-Type"] = FORM
        return self.request("POST", SIGN_UP, headers=https, body=urlencode(fields).encode()).status

    def has_sent_everything(self) -> bool:
        """Return whether no message waits any more."""
        return self.shell(WAITING) == "0"


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Start a portal of so many workers, with the mail server that is given."""
    with ExitStack() as stack:
        database_url = stack.enter_context(portal_database(tmp_path))
        site = Site(tmp_path, database_url, KEYPORTAL_TRUSTED_PROXIES="127.0.0.1", **dict.fromkeys(LIMITS, "999/hour"))
        site.environment |= {"KEYPORTAL_LOCAL": "false", "KEYPORTAL_URL": f"https://127.0.0.1:{site.port}"}

        def start(server: MailServer, *, workers: int) -> Site:
            # Longer than any test: who waits for the server, waits until it says something.
            site.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{server.port}?timeout=300"
            stack.enter_context(site.running(workers))
            return site

        yield start


def worker_of(site: Portal) -> int:
    """Return the process id of the only worker."""
    assert site.process
    [worker] = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children").read_text().split()
    return int(worker)


def test_a_mail_server_that_says_nothing_holds_nobody_up_and_gets_each_message_once(
    at_work: Callable[..., Site],
) -> None:
    with mail_server(Manners.SILENT) as silent:
        site = at_work(silent, workers=2)
        owner = site.make_developer("owner@example.com")
        _, secret = site.make_key("owner@example.com")  # which is told by a message of its own
        wait_until(lambda: silent.connections)

        def sign_up(email: str) -> tuple[int, str]:
            status = site.sign_up(email)
            return status, site.get("/gateway/auth", Authorization=f"Bearer {secret}").headers["x-keyportal-owner"]

        with ThreadPoolExecutor(12) as pool:
            assert list(pool.map(sign_up, STRANGERS)) == [(302, owner)] * len(STRANGERS)
        assert site.shell(WAITING) == str(len(STRANGERS) + 1)
    with mail_server(port=silent.port) as working:
        wait_until(site.has_sent_everything, otherwise=site.log.read_text)
        assert sorted(working.recipients()) == sorted([*STRANGERS, "owner@example.com"])
    assert not re.search("example.com|Traceback", site.log.read_text())


def test_a_worker_that_is_killed_in_the_middle_of_a_message_is_followed_by_another(
    at_work: Callable[..., Site],
) -> None:
    with mail_server(Manners.HOLDING) as server:
        site = at_work(server, workers=1)
        assert site.sign_up("first@example.com") == 302
        wait_until(lambda: server.recipients() == ["first@example.com"])
        server.manners = Manners.WORKING
        killed = worker_of(site)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: site.log.read_text().count("Started worker") == 2)
        assert site.sign_up("second@example.com") == 302
        wait_until(lambda: len(server.taken) == 2)
        assert server.recipients()[1] == "second@example.com"  # the first one is still the killed worker's
        site.shell("from django.utils import timezone as t; PendingMessage.objects.update(due_at=t.now())")
        wait_until(site.has_sent_everything)
        first, _, again = server.taken
        assert again["To"] == "first@example.com"
        assert again["Message-ID"] == first["Message-ID"]


def has_event_loop(worker: int) -> bool:
    """Return whether a worker still has a loop, and not only its last things to do."""
    opened = []
    for file in Path(f"/proc/{worker}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed just now
            opened.append(file.readlink().name)
    return any("eventpoll" in one for one in opened)


def test_a_worker_that_ends_waits_for_what_it_is_sending(at_work: Callable[..., Site]) -> None:
    with mail_server(Manners.HOLDING) as server:
        site = at_work(server, workers=1)
        assert site.sign_up("first@example.com") == 302
        wait_until(lambda: server.taken)
        worker = worker_of(site)
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda: not has_event_loop(worker))
        server.go_on.set()
        wait_until(lambda: site.log.read_text().count("Started worker") == 2)
        assert site.has_sent_everything()
        assert server.recipients() == ["first@example.com"]
