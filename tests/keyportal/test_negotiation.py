"""What an Accept header asks for: the shortcut for JSON gives what REST framework gives."""

from typing import Final

import pytest
from django.test import RequestFactory
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from keyportal.http.negotiation import TAKES_JSON, JSONNegotiation


class TextRenderer(BaseRenderer):
    """A renderer of another type."""

    media_type = "text/plain"
    format = "txt"


ACCEPTED: Final = (None, "*/*", "application/json", "application/json;q=0.9, */*;q=0.1", "text/plain, */*")
JSON: Final = JSONRenderer()
TEXT: Final = TextRenderer()


def request_with(accept: str | None) -> Request:
    headers = {} if accept is None else {"Accept": accept}
    return Request(RequestFactory().get("/", headers=headers))


@pytest.mark.parametrize("renderers", [[JSON], [JSON, TEXT], [TEXT, JSON]])
@pytest.mark.parametrize("accept", ACCEPTED)
def test_the_shortcut_gives_what_rest_framework_gives(accept: str | None, renderers: list[BaseRenderer]) -> None:
    request = request_with(accept)
    expected = DefaultContentNegotiation().select_renderer(request, renderers)
    assert JSONNegotiation().select_renderer(request, renderers) == expected


def test_an_empty_header_asks_for_nothing() -> None:
    assert JSONNegotiation().select_renderer(request_with(""), [JSON]) == (JSON, "application/json")


def test_a_type_that_there_is_not_is_not_acceptable() -> None:
    for accept in ("text/plain", "application/xml;q=0.1"):
        with pytest.raises(NotAcceptable):
            JSONNegotiation().select_renderer(request_with(accept), [JSON])


def test_the_usual_headers_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DefaultContentNegotiation, "select_renderer", None)
    for accept in (None, *TAKES_JSON):
        JSONNegotiation().select_renderer(request_with(accept), [JSON])
