"""The pages that rotate a key and end an overlap, with what they show of the former secret's use."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from apikeys import services
from apikeys.models import APIKey, KeySecret, live_secrets
from apikeys.services.rotation import current_secret
from credentials.usage.models import SourceAddress, Usage
from tests.accounts.mailbox import get, post
from tests.apikeys.key_pages import browser, secrets_in
from tests.apikeys.verifying import outcome_of
from tests.conftest import ORIGIN, LogIn, MakeKey

__all__ = ["browser"]

pytestmark = pytest.mark.django_db


def text_of(page: str) -> str:
    """Return the text of a page on one line, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def rotate_form(browser: Client, key: APIKey) -> dict[str, str]:
    page = get(browser, f"/keys/{key.pk}/rotate/").content.decode()
    found = re.search(r'name="replaces" value="(\w+)"', page)
    assert found
    return {"replaces": found[1], "overlap": "24"}


def use(key: APIKey, secret: KeySecret, *, minutes_ago: int, calls: int) -> None:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    place = {"credential": key.pk, "secret": secret.pk}
    SourceAddress.objects.create(**place, address="203.0.113.7", first_at=at, last_at=at)
    Usage.objects.create(**place, hour=at, entry_point="api", outcome="accepted", count=calls)


def test_rotating_shows_the_new_secret_once_and_says_until_when_the_former_works(
    browser: Client, make_key: MakeKey
) -> None:
    key, former = make_key()
    form = rotate_form(browser, key)
    page = post(browser, f"/keys/{key.pk}/rotate/", **form)
    [new] = secrets_in(page)
    assert new != former
    assert outcome_of(new) == outcome_of(former) == "accepted"
    assert f"kp_live_…{former[-4:]} , works until" in text_of(page.content.decode())
    assert "no-store" in page["Cache-Control"]
    again = post(browser, f"/keys/{key.pk}/rotate/", **form)
    assert again["Location"] == f"/keys/{key.pk}/"
    assert "has just been rotated" in get(browser, again["Location"]).content.decode()
    assert KeySecret.objects.count() == 2


def test_a_leak_is_rotated_without_an_overlap_and_its_reason_is_in_the_history(
    browser: Client, make_key: MakeKey
) -> None:
    key, former = make_key()
    form = {**rotate_form(browser, key), "overlap": "0", "reason": "pasted into a chat"}
    assert "refused from now on" in post(browser, f"/keys/{key.pk}/rotate/", **form).content.decode()
    assert outcome_of(former) == "retired"
    page = text_of(get(browser, f"/keys/{key.pk}/").content.decode())
    assert "Key rotated (no overlap): “ pasted into a chat ” by you" in page
    assert "Former secrets (1)" in page


@pytest.mark.security("S-05")
def test_rotating_asks_for_a_fresh_log_in(log_in: LogIn, developer: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    stale = log_in(developer, ago=301)
    form = {**rotate_form(stale, key), "reason": "typed"}
    answer = post(stale, f"/keys/{key.pk}/rotate/", **form)
    assert answer["Location"] == f"/accounts/reauthenticate/?next=%2Fkeys%2F{key.pk}%2Frotate%2F"
    assert KeySecret.objects.count() == 1
    stale.post(answer["Location"], {"password": "correct horse battery staple"}, secure=True)
    assert 'value="typed"' in get(stale, f"/keys/{key.pk}/rotate/").content.decode()
    assert secrets_in(post(stale, f"/keys/{key.pk}/rotate/", **form))


@pytest.mark.parametrize(
    ("minutes_ago", "calls", "said"),
    [
        (4, 412, "The former secret is still in use: last 4 minutes ago from 203.0.113.7 , 412 calls in the last 24"),
        (60 * 48, 9, "it looks safe to end the overlap"),
        (None, 0, "No call with the former secret has been counted: it looks safe to end the overlap"),
    ],
)
def test_the_end_of_an_overlap_is_shown_with_the_use_of_the_former_secret(
    browser: Client, make_key: MakeKey, minutes_ago: int | None, calls: int, said: str
) -> None:
    key, former = make_key()
    first = current_secret(key)
    if minutes_ago is not None:
        use(key, first, minutes_ago=minutes_ago, calls=calls)
    services.rotate(key=key, replaces=first.pk, origin=ORIGIN)
    for path in ("", "end-overlap/"):
        assert said in text_of(get(browser, f"/keys/{key.pk}/{path}").content.decode()).replace("\xa0", " ")
    post(browser, f"/keys/{key.pk}/end-overlap/")
    assert outcome_of(former) == "retired"
    assert get(browser, f"/keys/{key.pk}/end-overlap/").status_code == 302


def test_an_overlap_is_not_ended_if_the_former_secret_was_used_since_the_page_was_opened(
    browser: Client, make_key: MakeKey
) -> None:
    key, former = make_key()
    first = current_secret(key)
    services.rotate(key=key, replaces=first.pk, origin=ORIGIN)
    path, said = f"/keys/{key.pk}/end-overlap/", '<input type="hidden" name="said_unused" value="true">'
    assert said in get(browser, path).content.decode()
    use(key, first, minutes_ago=0, calls=3)
    answer = post(browser, path, said_unused="true")
    page = answer.content.decode()
    assert (answer.status_code, outcome_of(former)) == (400, "accepted")
    assert "Not ended yet: the former secret was used since you opened this page." in page
    assert said not in page
    post(browser, path)
    assert outcome_of(former) == "retired"


def test_during_an_overlap_the_page_offers_no_other_rotation_than_after_a_leak(
    browser: Client, make_key: MakeKey
) -> None:
    key, _ = make_key()
    services.rotate(key=key, replaces=current_secret(key).pk, origin=ORIGIN)
    page = get(browser, f"/keys/{key.pk}/rotate/").content.decode()
    assert re.findall(r'name="overlap" value="(\d+)"', page) == ["0"]
    form = {**rotate_form(browser, key), "overlap": "24"}
    assert post(browser, f"/keys/{key.pk}/rotate/", **form).status_code == 400
    assert KeySecret.objects.count() == 2


def test_a_key_that_has_ended_has_no_page_to_rotate_it(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    services.revoke(key=key, reason="", origin=ORIGIN)
    assert get(browser, f"/keys/{key.pk}/rotate/")["Location"] == f"/keys/{key.pk}/"
    assert "Rotate…" not in get(browser, f"/keys/{key.pk}/").content.decode()


def test_a_retired_secret_is_not_revealed(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    first = current_secret(key)
    services.rotate(key=key, replaces=first.pk, origin=ORIGIN)
    services.end_overlap(key=key, origin=ORIGIN)
    assert not secrets_in(post(browser, f"/keys/{key.pk}/secrets/{first.pk}/reveal/"))
    assert get(browser, f"/keys/{key.pk}/").content.decode().count("Reveal</button>") == 1


def test_however_often_a_key_was_rotated_its_pages_read_no_more_rows(browser: Client, make_key: MakeKey) -> None:
    key, _ = make_key()
    for _ in range(25):
        services.rotate(key=key, replaces=current_secret(key).pk, overlap=timedelta(0), origin=ORIGIN)
    page = text_of(get(browser, f"/keys/{key.pk}/").content.decode())
    assert "Former secrets (25)" in page
    assert page.count("retired ") == 20
    assert "Only the newest 20 are listed." in page
    [listed] = APIKey.objects.prefetch_related(live_secrets())
    assert [secret.is_current for secret in listed.secrets.all()] == [True]


def test_who_rotates_a_key_that_manages_keys_learns_what_its_former_secret_can_not_do(
    browser: Client, make_key: MakeKey
) -> None:
    told = "During the overlap it manages no keys any more"
    for scopes, is_told in ((["keys:write"], True), (["keys:read"], False)):
        key, _ = make_key(scopes=scopes)
        assert (told in text_of(get(browser, f"/keys/{key.pk}/rotate/").content.decode())) is is_told
