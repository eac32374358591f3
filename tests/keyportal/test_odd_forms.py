"""Every form of every page × every field × odd bytes: a page, and never a 5xx."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Final, NamedTuple
from urllib.parse import quote_from_bytes, urlencode

import pytest
from django.test import Client

from accounts.models import User
from tests.conftest import LogIn, MakeKey
from tests.keyportal.test_every_route import every_route
from tests.oauth_client import FORM
from tests.odd import BYTES

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H10"), pytest.mark.once, pytest.mark.sweep]
FEW: Final = [BYTES[place] for place in (0, 2, 3, 10, 11, 13, 14, 20, 21, 22, 24, 25, 26)]


class Form(NamedTuple):
    """A form of a page."""

    page: str
    action: str
    fields: tuple[str, ...]


def forms_of(browser: Client, pages: list[str]) -> Iterator[Form]:
    """Yield every form that posts and has something to fill in, each once."""
    seen = set()
    for page in pages:
        answer = browser.get(page, secure=True)
        if answer.status_code != 200 or "text/html" not in answer["Content-Type"]:
            continue
        for attributes, inside in re.findall(r"<form([^>]*)>(.*?)</form>", answer.content.decode(), re.DOTALL):
            if 'method="post"' not in attributes.lower():
                continue
            action = re.search(r'action="([^"]*)"', attributes)
            names = re.findall(r'<(?:input|select|textarea|button)\b[^>]*?\bname="([^"]+)"', inside)
            fields = tuple(dict.fromkeys(name for name in names if name != "csrfmiddlewaretoken"))
            form = Form(page, unescape(action[1]) if action and action[1] else page, fields)
            if fields and (form.action, fields) not in seen:
                seen.add((form.action, fields))
                yield form


def bodies_of(form: Form) -> Iterator[tuple[str, bytes, str]]:
    """Yield field, value and body, one odd value at a time."""
    plain = dict.fromkeys(form.fields, "x")
    for field in form.fields:
        others = urlencode({name: value for name, value in plain.items() if name != field})
        for value in FEW:
            yield field, value[:20], f"{others}&{quote_from_bytes(field.encode())}={quote_from_bytes(value)}"


def faults_of(browser: Client, form: Form) -> list[tuple[str, str, bytes, int]]:
    return [
        (form.page, field, value, status)
        for field, value, body in bodies_of(form)
        if (status := browser.post(form.action, body, FORM, secure=True).status_code) >= 500
    ]


def test_the_forms_of_a_stranger(client: Client) -> None:
    forms = list(forms_of(client, every_route()))
    assert {form.page for form in forms} >= {"/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"}
    client.raise_request_exception = False
    assert [fault for form in forms for fault in faults_of(client, form)] == []


def test_the_forms_of_a_developer(log_in: LogIn, developer: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    own = [path.replace("%27%22%3C%00%F0%9F%94%91a", key.pk) for path in every_route() if path.startswith("/keys/")]
    forms = list(forms_of(log_in(developer), [*every_route(), *own]))
    assert {form.page for form in forms} >= {"/keys/new/", "/accounts/password/change/"}
    faults = []
    for form in forms:
        browser = log_in(developer)  # whatever the form before has ended
        browser.raise_request_exception = False
        faults += faults_of(browser, form)
    assert faults == []


def test_the_forms_of_an_operator(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    desk = log_in(operator)
    pages = [path for path in every_route() if path.startswith("/admin/")]
    pages += [f"/admin/apikeys/apikey/{key.pk}/change/", f"/admin/accounts/user/{operator.pk}/change/"]
    forms = list(forms_of(desk, pages))
    assert len(forms) > 5
    desk.raise_request_exception = False
    assert [fault for form in forms for fault in faults_of(desk, form)] == []
