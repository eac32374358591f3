"""The editor of a key's networks, as a browser without scripts uses it."""

import re
from html import unescape
from typing import Any

from django.test import Client

from apikeys.models import APIKey
from tests.accounts.mailbox import get


class Editor:
    """The editor of one key: what its form holds is sent, and the page that comes back is read."""

    def __init__(self, browser: Client, key: APIKey) -> None:
        self.browser = browser
        self.path = f"/keys/{key.pk}/networks/"
        self._read(get(browser, self.path))

    def press(self, button: str, networks: str | None = None, **more: str) -> Any:
        """Send the form by a button, with another text where one is given; return the answer."""
        path = {"Save": self.path, "Check": f"{self.path}check/", "Add": f"{self.path}add/"}[button]
        fields = {**self.fields, **({} if networks is None else {"networks": networks}), **more}
        return self._read(self.browser.post(path, fields, secure=True))

    @property
    def words(self) -> str:
        """The text of the page, without tags."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.page))

    @property
    def buttons(self) -> list[str]:
        """What the buttons add."""
        return re.findall(r'name="add" value="([^"]+)"', self.page)

    def _read(self, answer: Any) -> Any:
        if answer.status_code != 302:
            self.page = unescape(answer.content.decode())
            self.fields = dict(re.findall(r'name="(checked|replaces)"(?: value="([^"]*)")?', self.page))
            [text] = re.findall(r"<textarea[^>]*>\r?\n?(.*?)</textarea>", self.page, re.DOTALL)
            self.fields["networks"] = text
        return answer
