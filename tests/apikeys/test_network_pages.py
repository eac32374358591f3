"""The editor of a key's networks: checked against the calls of a month, filled in from them, and saved with care."""

import re
from collections.abc import Mapping
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey
from audit.models import Event
from credentials.scopes.models import Scope
from credentials.usage.models import AddressUsage
from tests.accounts.mailbox import forget_messages, get
from tests.apikeys.key_pages import browser
from tests.apikeys.networks_editor import Editor
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey, MakeUser

__all__ = ["browser"]

pytestmark = pytest.mark.django_db
OFFICE = ("203.0.113.7", "203.0.113.8", "203.0.113.9")


def call(key: APIKey, calls: Mapping[str, int], *, ago: int = 0) -> None:
    """Count calls from these addresses."""
    day = timezone.now().date() - timedelta(days=ago)
    for address, count in calls.items():
        AddressUsage.objects.create(credential=key.pk, day=day, address=address, count=count)


def networks_of(key: APIKey) -> list[str]:
    return APIKey.objects.get(pk=key.pk).network_list


def test_a_list_is_saved_by_the_verb_and_changes_nothing_else(
    browser: Client, make_key: MakeKey, scopes: list[Scope]
) -> None:
    expires_at = timezone.now() + timedelta(days=40)
    key, _ = make_key(scopes=["reports:read"], expires_at=expires_at)
    answer = Editor(browser, key).press("Save", "203.0.113.0/24 # the office\r\n\r\n2001:db8::/64, 127.0.0.1")
    assert (answer.status_code, answer["Location"]) == (302, f"/keys/{key.pk}/")
    after = APIKey.objects.get()
    assert after.network_list == ["203.0.113.0/24", "2001:db8::/64", "127.0.0.1/32"]
    assert (after.name, after.scope_list, after.expires_at) == (key.name, ["reports:read"], expires_at)
    assert after.seal_is_valid()
    assert Event.objects.get(verb="key_edited").details == {"changed": ["networks"], "widened": []}
    assert "Saved. The change applies from the next request on." in unescape(
        get(browser, answer["Location"]).content.decode()
    )


def test_it_is_linked_from_the_key_and_from_its_edit_form(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    for path in ("", "edit/"):
        assert f'href="/keys/{key.pk}/networks/"' in get(browser, f"/keys/{key.pk}/{path}").content.decode()
    services.revoke(key=key, reason="", origin=ORIGIN)
    assert f'href="/keys/{key.pk}/networks/"' not in get(browser, f"/keys/{key.pk}/").content.decode()


@pytest.mark.security("Z-01")
def test_somebody_elses_key_is_as_unknown_as_no_key(browser: Client, make_user: MakeUser, make_key: MakeKey) -> None:
    theirs, _ = make_key(owner=make_user("other@example.com"))
    call(theirs, {"203.0.113.7": 5})
    for key_id in (theirs.pk, "key_" + "0" * 22):
        assert get(browser, f"/keys/{key_id}/networks/").status_code == 404
        for part in ("", "check/", "add/"):
            sent = {"networks": "203.0.113.7", "add": "203.0.113.7"}
            answer = browser.post(f"/keys/{key_id}/networks/{part}", sent, secure=True)
            assert answer.status_code == 404
    assert networks_of(theirs) == []


def test_a_revoked_key_has_no_editor(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.revoke(key=key, reason="", origin=ORIGIN)
    answers = [get(browser, f"/keys/{key.pk}/networks/")]
    answers += [browser.post(f"/keys/{key.pk}/networks/{part}", secure=True) for part in ("", "check/", "add/")]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, f"/keys/{key.pk}/")] * 4


def test_the_list_of_the_key_is_there_to_be_changed(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key(networks=["203.0.113.7/32", "2001:db8::/64"])
    editor = Editor(browser, key)
    assert editor.fields["networks"].splitlines() == ["203.0.113.7", "2001:db8::/64"]
    assert "Currently saved: 203.0.113.7/32 , 2001:db8::/64" in editor.words
    assert editor.press("Save").status_code == 302
    assert not Event.objects.filter(verb="key_edited").exists()


def test_every_wrong_line_is_named_and_what_was_typed_is_still_there(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    typed = "\n203.0.113.9/24 # office\nnowhere\n198.51.100.1"
    for button in ("Save", "Check"):
        editor = Editor(browser, key)
        assert editor.press(button, typed).status_code == 400
        assert "Line 2: This has host bits set. Write 203.0.113.0/24" in editor.words
        assert "Line 3: This isn't an address or a network." in editor.words
        assert editor.fields["networks"].lstrip("\n") == typed.lstrip("\n")
        assert editor.fields["checked"] == ""
    assert networks_of(key) == []


# --- the dry run ---


def test_a_check_shows_what_would_have_been_refused_and_changes_nothing(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    call(key, {"203.0.113.7": 1200, "198.51.100.1": 30})
    call(key, {"198.51.100.1": 4, "2001:db8::1": 50}, ago=29)
    call(key, {"192.0.2.1": 999}, ago=30)
    editor = Editor(browser, key)
    assert editor.press("Check", "203.0.113.0/24 # office").status_code == 200
    assert (
        "Checked against 1,284 calls of the last 30 days: 84 would have been refused , from 2 addresses."
        in editor.words
    )
    rows = re.findall(r"<tr>\s*<td><bdi class=\"mono\">(.*?)</bdi></td>\s*<td[^>]*>(.*?)</td>", editor.page)
    assert rows == [("2001:db8::1", "50"), ("198.51.100.1", "34")]
    assert editor.fields["networks"] == "203.0.113.0/24 # office"
    assert "Save anyway" in editor.page
    assert networks_of(key) == []
    assert not Event.objects.filter(verb="key_edited").exists()


def test_a_check_that_refuses_nothing_says_so(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    call(key, {"203.0.113.7": 12})
    editor = Editor(browser, key)
    editor.press("Check", "203.0.113.0/24")
    assert "Checked against 12 calls of the last 30 days: none would have been refused." in editor.words
    assert "Save anyway" not in editor.page
    editor.press("Check", "")
    assert "an empty list refuses none, because it allows any address." in editor.words


def test_a_check_of_an_unused_key_says_that_there_is_nothing_to_check(browser: Client, make_key: MakeKey) -> None:
    editor = Editor(browser, make_key()[0])
    editor.press("Check", "203.0.113.0/24")
    assert "No calls were accepted in the last 30 days, so there is nothing to check" in editor.words
    assert "Once the key is used" in editor.words


def test_calls_of_unknown_addresses_are_named_by_themselves(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    call(key, {"203.0.113.7": 12, "": 3})
    editor = Editor(browser, key)
    editor.press("Check", "203.0.113.7")
    assert "Checked against 12 calls of the last 30 days: none would have been refused." in editor.words
    assert "We don't know the address of 3 more calls." in editor.words
    assert "Save anyway" in editor.page
    assert editor.press("Check", "").status_code == 200
    assert "Checked against 15 calls" in editor.words
    assert "We don't know the address" not in editor.words


def test_many_refused_addresses_are_folded_and_counted(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    call(key, {f"192.0.{number}.1": 100 - number for number in range(62)})
    editor = Editor(browser, key)
    editor.press("Check", "203.0.113.7")
    assert "Show 40 more addresses" in editor.words
    assert "And 12 further addresses." in editor.words
    assert "192.0.49.1</bdi></td>" in editor.page
    assert "192.0.50.1</bdi></td>" not in editor.page


# --- saving ---


def test_a_list_that_would_have_refused_calls_is_saved_after_its_check_was_shown(
    browser: Client, make_key: MakeKey
) -> None:
    key, _ = make_key()
    call(key, {"203.0.113.7": 12})
    editor = Editor(browser, key)
    assert editor.press("Save", "198.51.100.1").status_code == 400
    assert "Not saved yet." in editor.words
    assert "12 would have been refused" in editor.words
    assert networks_of(key) == []
    assert editor.press("Save", "198.51.100.2").status_code == 400  # another list than the one that was shown
    assert networks_of(key) == []
    assert editor.press("Save", " 198.51.100.2 # same").status_code == 302
    assert networks_of(key) == ["198.51.100.2/32"]


def test_a_check_counts_as_shown(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    call(key, {"": 12})
    editor = Editor(browser, key)
    editor.press("Check", "198.51.100.1")
    assert "We don't know the address of 12 calls." in editor.words
    assert editor.press("Save").status_code == 302
    assert networks_of(key) == ["198.51.100.1/32"]


def test_a_list_that_keeps_every_call_is_saved_at_once(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    call(key, {"203.0.113.7": 12})
    assert Editor(browser, key).press("Save", "203.0.113.0/28").status_code == 302
    assert networks_of(key) == ["203.0.113.0/28"]


@pytest.mark.finding("H6")
def test_a_wider_list_asks_for_a_fresh_log_in_and_keeps_what_was_typed_and_checked(
    log_in: LogIn,
    developer: User,
    make_key: MakeKey,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    key, _ = make_key(networks=["198.51.100.0/24"])
    call(key, {"203.0.113.7": 12})
    forget_messages()
    editor = Editor(log_in(developer, ago=301), key)
    editor.press("Check", "198.51.100.0/24\r\n192.0.2.0/24 # new")
    with django_capture_on_commit_callbacks(execute=True):
        answer = editor.press("Save")
    assert answer["Location"] == f"/accounts/reauthenticate/?next=%2Fkeys%2F{key.pk}%2Fnetworks%2F"
    assert (networks_of(key), mail.outbox) == (["198.51.100.0/24"], [])
    back = editor.browser.post(answer["Location"], {"password": PASSWORD}, secure=True)
    again = Editor(editor.browser, key)
    assert back["Location"] == again.path
    assert "What you typed is still here but has not been sent. Press “Save” again." in again.words
    assert again.fields["networks"].splitlines() == ["198.51.100.0/24", "192.0.2.0/24 # new"]
    with django_capture_on_commit_callbacks(execute=True):
        assert again.press("Save").status_code == 302
    assert networks_of(key) == ["198.51.100.0/24", "192.0.2.0/24"]
    assert Event.objects.get(verb="key_edited").details["widened"] == ["networks"]
    assert "Key changed" in mail.outbox[-1].subject


def test_a_narrower_list_asks_for_no_log_in(log_in: LogIn, developer: User, make_key: MakeKey) -> None:
    key, _ = make_key(networks=["198.51.100.0/24"])
    assert Editor(log_in(developer, ago=3000), key).press("Save", "198.51.100.0/25").status_code == 302
    assert networks_of(key) == ["198.51.100.0/25"]


def test_a_list_that_was_changed_after_the_page_was_opened_is_told_and_not_overwritten(
    browser: Client, make_key: MakeKey
) -> None:
    key, _ = make_key()
    editor = Editor(browser, key)
    elsewhere = Editor(browser, key)
    assert elsewhere.press("Save", "198.51.100.0/24").status_code == 302
    stale = editor.fields["replaces"]
    for button in ("Check", "Save"):
        assert editor.press(button, "198.51.100.0/25 # mine", replaces=stale).status_code == 400
        assert "were changed after you opened this page" in editor.words
        assert "Currently saved: 198.51.100.0/24" in editor.words
        assert editor.fields["networks"] == "198.51.100.0/25 # mine"
        assert networks_of(key) == ["198.51.100.0/24"]
    assert editor.press("Save").status_code == 302
    assert networks_of(key) == ["198.51.100.0/25"]


def test_a_second_click_is_not_a_change_in_between(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    first = Editor(browser, key)
    second = Editor(browser, key)
    assert [click.press("Save", "198.51.100.0/24").status_code for click in (first, second)] == [302, 302]
    assert Event.objects.filter(verb="key_edited").count() == 1


def test_a_change_during_the_request_loses_nothing_that_was_typed(
    browser: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = make_key()
    edit_key = services.edit_key

    def lose_the_race(**given: Any) -> APIKey:
        other = {"name": "x", "scopes": [], "networks": [], "expires_at": timezone.now() + timedelta(days=9)}
        edit_key(key=APIKey.objects.get(), origin=ORIGIN, **other)  # type: ignore[arg-type]
        return edit_key(**given)

    editor = Editor(browser, key)
    with monkeypatch.context() as racing:
        racing.setattr(services, "edit_key", lose_the_race)
        assert editor.press("Save", "198.51.100.0/24 # mine").status_code == 400
    assert "This key was changed or revoked in the meantime." in editor.words
    assert "Currently saved: any address" in editor.words
    assert editor.fields["networks"] == "198.51.100.0/24 # mine"
    assert editor.press("Save").status_code == 302
    assert networks_of(key) == ["198.51.100.0/24"]


def test_a_key_that_was_tampered_with_is_not_changed(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    APIKey.objects.update(networks="nonsense")
    editor = Editor(browser, key)
    assert editor.press("Save", "203.0.113.7").status_code == 400
    assert "changed outside the portal" in editor.words
    assert networks_of(key) == ["nonsense"]


@pytest.mark.parametrize(("networks", "said"), [("203.0.113.7", True), ("127.0.0.0/8", False), ("", False)])
def test_a_list_without_ones_own_address_is_saved_and_says_so(
    browser: Client, make_key: MakeKey, networks: str, said: bool
) -> None:
    key, _ = make_key()
    editor = Editor(browser, key)
    editor.press("Check", networks)
    assert ("Your own address isn't in the list" in editor.words) is said
    page = get(browser, editor.press("Save")["Location"]).content.decode()
    assert ("Your own address isn't in the list" in unescape(page)) is said


# --- networks to choose from ---


def test_where_calls_came_from_is_offered_with_its_share_and_added_by_a_button(
    browser: Client, make_key: MakeKey
) -> None:
    key, _ = make_key()
    call(key, {**dict.fromkeys(OFFICE, 20), "198.51.100.1": 30, "2001:db8::1": 10})
    editor = Editor(browser, key)
    assert "203.0.113.0/24 60% of the calls, from 3 addresses" in editor.words
    assert "198.51.100.1 30% of the calls Add" in editor.words
    every = "203.0.113.0/24 198.51.100.1 2001:db8::1"
    assert editor.buttons == ["127.0.0.1", every, *every.split()]
    editor.press("Add", "203.0.113.7 # one of them\n192.0.2.1", add="203.0.113.0/24")
    assert editor.fields["networks"] == "192.0.2.1\n203.0.113.0/24"
    assert "from 3 addresses In the list" in editor.words
    assert "40 would have been refused" in editor.words
    assert editor.buttons == ["127.0.0.1", "198.51.100.1 2001:db8::1", "198.51.100.1", "2001:db8::1"]
    editor.press("Add", add="198.51.100.1 2001:db8::1")
    assert editor.fields["networks"].splitlines() == ["192.0.2.1", "203.0.113.0/24", "198.51.100.1", "2001:db8::1"]
    assert "none would have been refused" in editor.words
    assert editor.buttons == ["127.0.0.1"]
    assert networks_of(key) == []


def test_ones_own_address_is_added_once(browser: Client, make_key: MakeKey) -> None:
    editor = Editor(browser, make_key()[0])
    for _ in range(2):
        editor.press("Add", add="127.0.0.1")
    assert editor.fields["networks"] == "127.0.0.1"
    for text in ("", "127.0.0.0/8"):
        editor.press("Add", text, add="127.0.0.1")
        assert editor.fields["networks"] == (text or "127.0.0.1")


@pytest.mark.parametrize("added", ["", "nonsense", "0.0.0.0/0", "<script>"])
def test_what_no_button_has_is_not_added(browser: Client, make_key: MakeKey, added: str) -> None:
    editor = Editor(browser, make_key()[0])
    assert editor.press("Add", "203.0.113.7 # office", add=added).status_code == 200
    assert editor.fields["networks"] == "203.0.113.7 # office"
    assert "<script>" not in editor.page


def test_a_list_that_is_too_long_is_not_added_to(browser: Client, make_key: MakeKey) -> None:
    editor = Editor(browser, make_key()[0])
    assert editor.press("Add", "#" * 4001, add="203.0.113.7").status_code == 400
    assert "at most 4000 characters" in editor.words
    assert editor.fields["networks"] == "#" * 4001


def test_many_suggestions_are_folded(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    call(key, {f"192.0.{number}.1": 100 - number for number in range(12)})
    assert "Show 2 more" in Editor(browser, key).words


def test_calls_from_nowhere_suggest_nothing_and_are_not_denied(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    call(key, {"": 3})
    assert "We don't know which addresses the calls of the last 30 days came from." in Editor(browser, key).words


def test_a_page_asks_for_the_calls_once(
    browser: Client, make_key: MakeKey, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    key, _ = make_key()
    call(key, {f"192.0.{number}.{last}": 1 for number in range(60) for last in range(1, 5)})
    editor = Editor(browser, key)
    with django_assert_max_num_queries(16) as asked:
        editor.press("Check", "192.0.0.0/16")
    assert len([query for query in asked if "credentials_addressusage" in query["sql"]]) == 1


# --- what must not be shown ---


@pytest.mark.security("L-01")
@pytest.mark.parametrize("around", ["{}", "203.0.113.7 # {}", "203.0.113.0/24\n\n{}/24, 10.0.0.1"])
def test_a_secret_that_was_pasted_is_not_shown_again(browser: Client, make_key: MakeKey, around: str) -> None:
    key, secret = make_key()
    call(key, {"198.51.100.1": 5})
    for button, more in (("Check", {}), ("Save", {}), ("Add", {"add": "198.51.100.1"}), ("Add", {"add": secret})):
        editor = Editor(browser, key)
        answer = editor.press(button, around.format(secret), **more)
        assert answer.status_code == 400
        assert secret[8:51] not in editor.page
        assert "This list contained a secret" in editor.words
    assert networks_of(key) == []


def test_names_and_lists_are_text(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key(name="<img src=x onerror=alert(1)>")
    editor = Editor(browser, key)
    page = editor.press("Check", "</textarea><script>alert(1)</script>").content.decode()
    assert "<img" not in page
    assert "<script>alert" not in page
    assert "<bdi>&lt;img src=x" in page
