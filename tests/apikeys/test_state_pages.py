"""The pages that pause, resume and revoke keys, one or several at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.times import in_words
from apikeys import services
from apikeys.models import APIKey
from credentials.usage.models import Usage
from tests.accounts.mailbox import get, post
from tests.apikeys.key_pages import browser
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey, MakeUser

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


def use(key: APIKey, calls: int) -> None:
    hour = timezone.now() - timedelta(hours=1)
    Usage.objects.create(credential=key.pk, hour=hour, entry_point="api", outcome="accepted", count=calls)


def test_a_key_is_paused_by_one_click_with_a_reason_and_resumed(browser: Client, make_key: MakeKey) -> None:
    key, secret = make_key()
    assert post(browser, f"/keys/{key.pk}/pause/", reason="too many errors")["Location"] == f"/keys/{key.pk}/"
    assert outcome_of(secret) == "paused"
    page = get(browser, f"/keys/{key.pk}/").content.decode()
    assert "too many errors" in page
    assert "Resume</button>" in page
    post(browser, f"/keys/{key.pk}/resume/")
    assert outcome_of(secret) == "accepted"


def test_a_pause_may_have_an_end(browser: Client, make_key: MakeKey, time_machine: Any) -> None:
    time_machine.move_to(timezone.now(), tick=False)
    key, _ = make_key()
    assert "For 24 hours" in get(browser, f"/keys/{key.pk}/pause/").content.decode()
    assert post(browser, f"/keys/{key.pk}/pause/", until="1000000").status_code == 400
    post(browser, f"/keys/{key.pk}/pause/", until="24")
    end = timezone.now() + timedelta(hours=24)
    assert APIKey.objects.get().paused_until == end
    assert f"Calls with it are refused until {in_words(end)}." in get(browser, f"/keys/{key.pk}/").content.decode()


@pytest.mark.finding("H6")
def test_resuming_asks_for_a_fresh_log_in(log_in: LogIn, developer: User, make_key: MakeKey) -> None:
    key, secret = make_key()
    services.pause(key=key, origin=ORIGIN)
    stale = log_in(developer, ago=301)
    answer = post(stale, f"/keys/{key.pk}/resume/")
    assert answer["Location"] == f"/accounts/reauthenticate/?next=%2Fkeys%2F{key.pk}%2F"
    assert outcome_of(secret) == "paused"
    stale.post(answer["Location"], {"password": PASSWORD}, secure=True)
    post(stale, f"/keys/{key.pk}/resume/")
    assert outcome_of(secret) == "accepted"


def test_what_an_operator_paused_has_no_button_and_stays_paused(browser: Client, make_key: MakeKey) -> None:
    key, secret = make_key()
    services.pause(key=key, reason="abuse", by_operator=True, origin=ORIGIN)
    page = get(browser, f"/keys/{key.pk}/").content.decode()
    assert "Resume</button>" not in page
    assert "by an operator: <bdi>abuse</bdi>" in " ".join(page.split())
    post(browser, f"/keys/{key.pk}/resume/")
    assert outcome_of(secret) == "paused"
    assert "An operator paused this key" in get(browser, f"/keys/{key.pk}/").content.decode()


def test_revoking_offers_to_pause_instead(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    assert f'href="/keys/{key.pk}/pause/"' in get(browser, f"/keys/{key.pk}/revoke/").content.decode()


def test_who_changes_their_mind_is_led_back_to_where_they_came_from(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    for page, back in (
        (f"/keys/{key.pk}/pause/", f"/keys/{key.pk}/"),
        (f"/keys/{key.pk}/revoke/", f"/keys/{key.pk}/"),
        (f"/keys/pause/?key={key.pk}", "/keys/"),
        (f"/keys/revoke/?key={key.pk}", "/keys/"),
    ):
        assert f'<a class="button" href="{back}" autofocus>Cancel</a>' in get(browser, page).content.decode()


def test_several_keys_are_paused_after_what_they_are_used_for_was_shown(browser: Client, make_key: MakeKey) -> None:
    (one, first), (other, second), (third, kept) = (make_key(name=name) for name in ("one", "other", "third"))
    use(other, 412)
    address = f"/keys/pause/?key={one.pk}&key={other.pk}"
    page = get(browser, address).content.decode()
    assert "Pause 2 keys?" in page
    assert "412 calls in the last 24 hours" in page
    assert "No calls counted yet" in page
    assert third.pk not in page
    post(browser, address, reason="maintenance")
    assert [outcome_of(secret) for secret in (first, second, kept)] == ["paused", "paused", "accepted"]
    assert "2 keys paused." in get(browser, "/keys/").content.decode()


def test_several_keys_are_revoked_and_a_word_is_asked_for_if_one_is_in_use(browser: Client, make_key: MakeKey) -> None:
    (one, first), (other, second) = make_key(name="one"), make_key(name="other")
    use(one, 3)
    address = f"/keys/revoke/?key={one.pk}&key={other.pk}"
    assert "3 calls in the last 24 hours" in get(browser, address).content.decode()
    assert post(browser, address, typed="yes").status_code == 400
    assert outcome_of(second) == "accepted"
    post(browser, address, typed=" Revoke ", reason="cleaning up")
    assert [outcome_of(secret) for secret in (first, second)] == ["revoked", "revoked"]
    assert set(APIKey.objects.values_list("revoked_reason", flat=True)) == {"cleaning up"}


@pytest.mark.parametrize(
    ("path", "said", "typed"),
    [
        ("/keys/{}/revoke/", "Not revoked yet: this key was used since you opened this page.", "billing"),
        ("/keys/revoke/?key={}", "Not revoked yet: one of these keys was used since you opened this page.", "revoke"),
    ],
    ids=["one", "several"],
)
def test_who_revokes_a_key_that_was_used_since_the_page_was_opened_is_told_and_asked(
    browser: Client, make_key: MakeKey, path: str, said: str, typed: str
) -> None:
    key, secret = make_key(name="billing")
    path = path.format(key.pk)
    assert 'name="typed"' not in get(browser, path).content.decode()
    use(key, 1)
    answer = post(browser, path, reason="cleaning up")
    page = answer.content.decode()
    assert (answer.status_code, outcome_of(secret)) == (400, "accepted")
    assert said in page
    assert "data-focus" in page
    assert 'value="cleaning up"' in page
    assert 'name="typed"' in page
    assert "This field is required" not in page
    assert "Check these fields" not in page
    assert "autofocus" not in page
    assert "This field is required" in post(browser, path, typed="").content.decode()
    post(browser, path, typed=typed, reason="cleaning up")
    assert outcome_of(secret) == "revoked"


@pytest.mark.security("Z-01")
@pytest.mark.parametrize("verb", ["pause", "revoke"])
def test_keys_of_others_are_left_out_as_if_they_did_not_exist(
    browser: Client, make_user: MakeUser, make_key: MakeKey, verb: str
) -> None:
    theirs, secret = make_key(owner=make_user("other@example.com"))
    for key_id in (theirs.pk, "key_" + "0" * 22, "%00", "\ud800".encode("utf-16", "surrogatepass").hex(), ""):
        assert post(browser, f"/keys/{verb}/?key={key_id}").status_code in (302, 400)
    assert outcome_of(secret) == "accepted"
    assert get(browser, f"/keys/{verb}/")["Location"] == "/keys/"


def test_keys_that_have_ended_are_not_paused_or_revoked_again(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.revoke(key=key, reason="first", origin=ORIGIN)
    for verb in ("pause", "revoke"):
        assert get(browser, f"/keys/{verb}/?key={key.pk}")["Location"] == "/keys/"
    assert APIKey.objects.get().revoked_reason == "first"


def test_of_two_tabs_the_second_is_told_and_loses_nothing(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key(name="before")
    path, fields = f"/keys/{key.pk}/edit/", {"expiry": "never", "networks": "", "version": "1"}
    post(browser, path, name="from the first tab", **fields)
    answer = post(browser, path, name="from the second tab", **fields)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "changed in the meantime" in page
    assert "<bdi>from the first tab</bdi>" in page
    assert 'value="from the second tab"' in page
    assert APIKey.objects.get().name == "from the first tab"
    assert 'name="version" value="2"' in page
    post(browser, path, name="from the second tab", **{**fields, "version": "2"})
    assert APIKey.objects.get().name == "from the second tab"
