"""When the portal itself breaks, or is sent too much: generic outside, complete in the log, on the same request id."""

import json
import logging
import logging.config
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apikeys.pages import views
from keyportal.logs import JSONFormatter, RequestFilter, logging_config, request_id
from tests.conftest import MakeKey

pytestmark = pytest.mark.django_db


def broken(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("the inside of the portal")


@pytest.mark.security("L-06")
@pytest.mark.conformance("PD-04")
def test_an_exception_in_the_api_is_a_problem(make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = make_key()
    monkeypatch.setattr("apikeys.api.views.credential_json", broken)
    client = Client(raise_request_exception=False)
    answer = client.get("/api/v1/me", secure=True, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert json.loads(answer.content)["code"] == "internal_error"
    assert b"inside" not in answer.content


@pytest.mark.security("L-06")
def test_an_exception_in_a_page_is_a_page_with_the_request_id(log_in: Any, developer: Any, monkeypatch: Any) -> None:
    browser = log_in(developer)
    browser.raise_request_exception = False
    monkeypatch.setattr(views, "Paginator", broken)
    answer = browser.get("/keys/", secure=True)
    page = answer.content.decode()
    assert answer.status_code == 500
    assert "Something went wrong" in page
    assert answer["X-Request-ID"] in page
    assert "inside" not in page


@pytest.mark.once
def test_a_line_of_the_log_is_one_json_object_with_the_request_id() -> None:
    config = logging_config("json")
    formatter = config["formatters"]["json"]
    made = logging.config.DictConfigurator({"version": 1}).configure_formatter(dict(formatter))
    record = logging.LogRecord("keyportal.test", logging.INFO, __file__, 1, "said %s", ("so",), None)
    token = request_id.set("request-1")
    try:
        RequestFilter().filter(record)
    finally:
        request_id.reset(token)
    line = json.loads(made.format(record))
    assert (line["level"], line["logger"], line["request_id"], line["message"]) == (
        "INFO",
        "keyportal.test",
        "request-1",
        "said so",
    )
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)


@pytest.mark.once
@pytest.mark.security("L-06")
def test_a_traceback_stays_in_its_line() -> None:
    try:
        int("broken\nin two")
    except ValueError:
        record = logging.LogRecord("keyportal.test", logging.ERROR, __file__, 1, "said", (), sys.exc_info())
    text = JSONFormatter().format(record)
    assert "\n" not in text
    assert "ValueError" in json.loads(text)["exc_info"]
