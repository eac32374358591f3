"""A developer with a browser's cookies, who knows nothing of a portal but its address and their own mailbox."""

import re
from collections.abc import Callable

import requests

from tests.mail_server import MailServer
from tests.waiting import DEADLINE, wait_until
from tests.wire import field

PASSWORD = "correct horse battery staple"
SECRET = re.compile(r"kp_(?:live|test)_[0-9A-Za-z]{49}")


class Visitor:
    """One who signs up, confirms the address, and creates a key, all through pages."""

    def __init__(self, base: str, certificate: str, email: str) -> None:
        self.base = base
        self.email = email
        self.browser = requests.Session()
        self.browser.trust_env, self.browser.verify = False, certificate

    def get(self, path: str) -> str:
        """Return a page."""
        answer = self.browser.get(self.base + path, timeout=DEADLINE)
        answer.raise_for_status()
        page: str = answer.text
        return page

    def post(self, path: str, **fields: str) -> requests.Response:
        """Fill in the form of a page, and send it."""
        form = {"csrfmiddlewaretoken": field(self.get(path), "csrfmiddlewaretoken"), **fields}
        headers = {"Origin": self.base, "Referer": self.base + path}
        answer = self.browser.post(self.base + path, data=form, headers=headers, timeout=DEADLINE)
        answer.raise_for_status()
        return answer

    def sign_up(self, find_link: Callable[[], str]) -> None:
        """Sign up, and follow the link that comes by mail."""
        self.post("/accounts/signup/", email=self.email, password1=PASSWORD)
        link = wait_until(find_link)
        assert link.startswith(self.base)
        self.post(link.removeprefix(self.base))

    def create_key(self) -> str:
        """Create a key and return its secret."""
        token = field(self.get("/keys/new/"), "form_token")
        page = self.post("/keys/new/", name="drill", environment="live", expiry="never", form_token=token)
        return str(SECRET.findall(page.text)[0])

    def calls(self, secret: str) -> int:
        """Call the API with a key; return the status."""
        headers = {"Authorization": f"Bearer {secret}"}
        answer = self.browser.get(f"{self.base}/api/v1/me", headers=headers, timeout=DEADLINE)
        return int(answer.status_code)


def link_in(server: MailServer, email: str) -> str:
    """Return the link of the last confirmation that was sent to an address, or nothing."""
    mine = [message for message in server.taken if str(message["To"]) == email]
    for message in reversed(mine):
        for part in message.walk():
            body = part.get_payload(decode=True)
            found = re.search(rb"https\S+/accounts/confirm-email/[\w:.-]+/?", body if isinstance(body, bytes) else b"")
            if found:
                return found[0].decode()
    return ""
