"""A developer at a started portal, with a browser's cookies and no browser."""

import re
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

from tests.portal import Portal
from tests.waiting import DEADLINE

PASSWORD = "correct horse battery staple"


class PortalUser:
    """A confirmed developer who is logged in."""

    def __init__(self, portal: Portal, email: str, password: str = PASSWORD, *, make: bool = True) -> None:
        self.portal = portal
        self.cookies = CookieJar()
        self.opener: OpenerDirector = build_opener(HTTPCookieProcessor(self.cookies))
        if make:
            portal.make_developer(email, password)
            portal.forget_guesses()
        self.post("/accounts/login/", login=email, password=password)

    @classmethod
    def again(cls, portal: Portal, email: str) -> "PortalUser":
        """Log the same developer in with another browser."""
        portal.forget_guesses()
        return cls(portal, email, make=False)

    def get(self, path: str) -> str:
        with self.opener.open(self.portal.url + path, timeout=DEADLINE) as answer:
            page: bytes = answer.read()
            return page.decode()

    def field(self, path: str, name: str) -> str:
        """Return the value of a hidden field of a page's form."""
        found = re.search(rf'name="{name}" value="([^"]+)"', self.get(path))
        assert found
        return found[1]

    def post(self, path: str, *, form_at: str | None = None, token: str | None = None, **fields: str) -> bytes:
        """Send a form of a page and return the page that came in the end."""
        token = token or self.field(form_at or path, "csrfmiddlewaretoken")
        body = urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        request = Request(self.portal.url + path, data=body, headers={"Referer": self.portal.url + path})
        with self.opener.open(request, timeout=DEADLINE) as answer:
            page: bytes = answer.read()
            return page
