"""An operator who sets a higher limit for a key is asked for a fresh log-in, and the owner is told."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.models import User
from apikeys import services
from apikeys.errors import ChangedMeanwhileError
from apikeys.models import APIKey
from audit.models import Event
from tests.accounts.mailbox import forget_messages
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey
from tests.rows import rewrite

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H6")]
KEYS = "/admin/apikeys/apikey/"


def limit_keys(browser: Client, *keys: APIKey, to: str) -> Any:
    chosen = {"action": "limit_keys", "_selected_action": [key.pk for key in keys], "limit": to}
    return browser.post(KEYS, chosen, secure=True)


def test_a_higher_limit_asks_the_operator_for_a_fresh_log_in_and_is_told_to_the_owner(
    log_in: LogIn,
    operator: User,
    make_key: MakeKey,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    one, other = make_key(name="one")[0], make_key(name="other")[0]
    for key in (one, other):
        services.set_rate_limit(key=key, limit="5/minute", origin=ORIGIN)
    forget_messages()
    stale = log_in(operator, ago=301)
    with django_capture_on_commit_callbacks(execute=True):
        assert limit_keys(stale, one, to="4/minute").status_code == 302
        assert APIKey.objects.get(pk=one.pk).rate_limit == "4/minute"
        answer = limit_keys(stale, one, other, to="5/minute")
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert APIKey.objects.get(pk=one.pk).rate_limit == "4/minute"
    assert mail.outbox == []
    back = stale.post(answer["Location"], {"password": PASSWORD}, secure=True)
    page = stale.get(back["Location"], secure=True).content.decode()
    assert 'value="5/minute"' in page
    assert page.count('name="_selected_action"') == 2
    with django_capture_on_commit_callbacks(execute=True):
        limit_keys(stale, one, other, to="5/minute")
    assert [message.subject for message in mail.outbox] == ["[keyportal] Key changed: one"]
    assert Event.objects.filter(verb="key_limited").latest("id").details["widened"] == ["rate_limit"]


def test_a_lifted_limit_is_a_higher_one(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.set_rate_limit(key=key, limit="5/minute", origin=ORIGIN)
    assert limit_keys(log_in(operator, ago=301), key, to="")["Location"].startswith("/accounts/reauthenticate/")
    assert APIKey.objects.get().rate_limit == "5/minute"


def test_a_limit_that_was_judged_on_another_one_is_not_set(make_key: MakeKey, log_in: LogIn, operator: User) -> None:
    make_key()
    services.set_rate_limit(key=APIKey.objects.get(), limit="9/minute", origin=ORIGIN)
    read = APIKey.objects.get()
    services.set_rate_limit(key=APIKey.objects.get(), limit="5/minute", origin=ORIGIN)
    with pytest.raises(ChangedMeanwhileError):
        services.set_rate_limit(key=read, limit="8/minute", origin=ORIGIN)
    assert APIKey.objects.get().rate_limit == "5/minute"
    assert Event.objects.filter(verb="key_limited").count() == 2


def test_the_operator_is_told_of_a_limit_that_somebody_else_changed(
    make_key: MakeKey, log_in: LogIn, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = make_key()

    def meanwhile(*_: object) -> list[str]:
        rewrite(key, rate_limit="7/minute")
        return []

    monkeypatch.setattr("apikeys.admin_actions.widened_columns", meanwhile)
    answer = limit_keys(log_in(operator), key, to="6/minute")
    assert answer.status_code == 409
    assert "changed by someone else" in answer.content.decode()
    assert APIKey.objects.get().rate_limit == "7/minute"
