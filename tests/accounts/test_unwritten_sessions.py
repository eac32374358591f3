"""A session that the database can't write is the database's fault, and no fault of the browser."""

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.db import InternalError, OperationalError
from django.test import Client

from accounts.sessions import SessionStore
from credentials.runtime.database_writes import database_writes
from tests.unwritten import nothing_is_kept

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H47")]


@pytest.fixture
def session() -> SessionStore:
    """A session of a browser that is not logged in."""
    made = SessionStore()
    made["theme"] = "of a form"
    made.save()
    return made


def test_a_session_that_can_not_be_written_is_not_called_gone(session: SessionStore) -> None:
    again = SessionStore.of_cookie(session.token)
    assert again["theme"] == "of a form"
    with nothing_is_kept(), pytest.raises((OperationalError, InternalError)):
        again.save()


def test_a_session_whose_row_is_gone_is(session: SessionStore) -> None:
    again = SessionStore.of_cookie(session.token)
    assert again["theme"] == "of a form"
    SessionStore(session.session_key).delete()
    with pytest.raises(UpdateError):
        again.save()


def test_a_session_of_a_stranger_that_can_not_be_written_is_503_too(
    session: SessionStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_writes(), "fault", "")  # it is the process's, and known to the tests after this one
    browser = Client(raise_request_exception=False)
    browser.cookies[settings.SESSION_COOKIE_NAME] = session.token or ""
    assert browser.get("/accounts/login/", secure=True).status_code == 200
    with nothing_is_kept():
        answer = browser.get("/accounts/login/", secure=True)
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert "unavailable: django.db.utils." in caplog.text
