"""The styleguide shows every class of the style sheets, by the templates that pages use; in local mode only."""

import re
from typing import Final

import pytest
from django.contrib.messages.storage.fallback import FallbackStorage
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse

from accounts.leaks import holds_secret
from accounts.models import User
from keyportal.local.samples import SECRET
from keyportal.local.styleguide import COMPONENTS, styleguide
from tests.portal import ROOT

ELSEWHERE: Final = {
    "local-bar": "above every page in local mode",
    "reference-nav": "beside the reference of the API",
    "notices": "around the messages of a page that has some",
    "revoked": "on a row of the revoked keys",
}
"""Classes that only other pages show, and where."""
SHEETS: Final = sorted(set((ROOT / "static/css").glob("*.css")) - {ROOT / "static/css/operators.css"})


def shown() -> str:
    """Return the page, as somebody who is logged in sees it."""
    request = RequestFactory().get("/styleguide/?page=1")
    request.user, request.session = User(email="dev@example.com"), {}  # type: ignore[assignment]  # read only
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]  # the middleware sets it
    answer = styleguide(request)
    assert isinstance(answer, TemplateResponse)
    return str(answer.render().content.decode())


def classes_of_sheets() -> set[str]:
    text = "".join(re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL) for sheet in SHEETS)
    return set(re.findall(r"(?<![\w\d])\.([a-z][A-Za-z-]+)", re.sub(r"{[^{}]*}", "{}", text)))


@pytest.mark.django_db
def test_it_shows_every_class_of_the_style_sheets() -> None:
    page = shown()
    used = {name for value in re.findall(r'class="([^"]*)"', page) for name in value.split()}
    assert classes_of_sheets() - used == set(ELSEWHERE)
    assert "pill-good" in classes_of_sheets()


@pytest.mark.django_db
def test_each_component_has_a_name_and_says_when_to_use_it() -> None:
    page = shown()
    for component in COMPONENTS:
        assert f'<h2 id="component-{component.id}-title">{component.name}</h2>' in page
        assert component.use.endswith(".")
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert not holds_secret(SECRET)


@pytest.mark.django_db
def test_production_has_no_styleguide(client: Client) -> None:
    assert client.get("/styleguide/", secure=True).status_code == 404
    with pytest.raises(NoReverseMatch):
        reverse("styleguide")
