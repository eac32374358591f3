"""Signed-in apps in the portal and for operators; sessions and their end."""

import re
from collections.abc import Callable

import pytest
from django.contrib.admin.utils import quote
from django.test import Client

from accounts.models import User
from audit.models import Event
from tests.conftest import ORIGIN, MakeUser
from tests.oauth_client import ENDED, OAuthClient
from tests.portal import Portal
from tests.portal_user import PortalUser
from tokens import services
from tokens.models import RevokedToken, TokenFamily

PAGE = "/account/apps/"


def sign_in(user: User, agent: str = "acme-cli/2.1") -> TokenFamily:
    services.issue_to_user(user=user, scopes=None, agent=agent, origin=ORIGIN)
    return TokenFamily.objects.latest("started_at")


@pytest.mark.django_db
def test_the_page_shows_where_tokens_are_in_use_and_ends_one(log_in: Callable[..., Client], developer: User) -> None:
    browser = log_in(developer)
    assert "No app is signed in" in browser.get(PAGE, secure=True).content.decode()
    kept, ended = sign_in(developer, "<b>kept</b>"), sign_in(developer)
    page = browser.get(PAGE, secure=True).content.decode()
    assert "&lt;b&gt;kept&lt;/b&gt;" in page
    assert "192.0.2.1" in page
    answer = browser.post(f"{PAGE}{ended.pk}/end/", secure=True, follow=True).content.decode()
    assert "Signed out" in answer
    assert "acme-cli" not in answer
    assert kept.pk in answer
    assert RevokedToken.objects.get().token_id == ended.pk
    assert Event.objects.get(verb="tokens_revoked").subject_id == developer.pk


@pytest.mark.django_db
def test_all_apps_are_signed_out_at_once(log_in: Callable[..., Client], developer: User) -> None:
    browser = log_in(developer)
    for _ in range(30):
        sign_in(developer)
    assert "page=2" in browser.get(PAGE, secure=True).content.decode()
    page = browser.post(f"{PAGE}end/", secure=True, follow=True).content.decode()
    assert "No app is signed in" in page
    history = browser.get("/account/history/", secure=True).content.decode()
    assert "All signed-in apps ended" in history
    assert "An app logged in" in history


@pytest.mark.django_db
@pytest.mark.security("Z-01")
def test_another_user_s_app_is_not_there(log_in: Callable[..., Client], developer: User, make_user: MakeUser) -> None:
    theirs = sign_in(make_user("other@example.com"))
    browser = log_in(developer)
    assert theirs.pk not in browser.get(PAGE, secure=True).content.decode()
    assert browser.post(f"{PAGE}{theirs.pk}/end/", secure=True).status_code == 404
    assert browser.get(f"{PAGE}{theirs.pk}/end/", secure=True).status_code == 405
    assert TokenFamily.objects.get().ended_at is None


@pytest.mark.django_db
def test_operators_list_and_end_log_ins(log_in: Callable[..., Client], developer: User, operator: User) -> None:
    desk = log_in(operator)
    family = sign_in(developer)
    base = "/admin/tokens/tokenfamily/"
    assert family.pk in desk.get(f"{base}?q=dev@example.com", secure=True).content.decode()
    assert "acme-cli" in desk.get(f"{base}{quote(family.pk)}/change/", secure=True).content.decode()
    page = desk.post(base, {"action": "end", "_selected_action": [family.pk]}, secure=True, follow=True)
    assert "1 ended." in page.content.decode()
    assert family.pk in desk.get("/admin/tokens/revokedtoken/", secure=True).content.decode()
    assert desk.get("/admin/keyportal/taskrun/", secure=True).status_code == 200
    assert desk.post(f"{base}{family.pk}/delete/", {"post": "yes"}, secure=True).status_code == 403


def test_sign_out_everywhere_ends_other_browsers_and_signed_tokens(portal: Portal, oauth_client: OAuthClient) -> None:
    here = PortalUser(portal, "everywhere@example.com")
    there = PortalUser.again(portal, "everywhere@example.com")
    pair = oauth_client.log_in("everywhere@example.com")
    secret = portal.make_key("everywhere@example.com")[1]
    assert "everywhere@example.com" in there.get("/account/")
    here.post("/accounts/sessions/")
    assert "everywhere@example.com" in here.get("/account/")
    assert "everywhere@example.com" not in there.get("/account/")
    assert oauth_client.wait_for_refusal(pair["access_token"]) in ENDED
    assert oauth_client.refresh(pair["refresh_token"]).status == 400
    assert oauth_client.me(secret).status == 200


def test_one_session_is_ended_and_nobody_else_s(portal: Portal) -> None:
    here = PortalUser(portal, "one-session@example.com")
    there = PortalUser.again(portal, "one-session@example.com")
    stranger = PortalUser(portal, "no-session@example.com")
    (end,) = re.findall(r'action="(/account/sessions/\d+/end/)"', here.get("/accounts/sessions/"))
    with pytest.raises(Exception, match="404"):
        stranger.post(end, form_at="/accounts/sessions/")
    assert "one-session@example.com" in there.get("/account/")
    here.post(end, form_at="/accounts/sessions/")
    assert "one-session@example.com" not in there.get("/account/")
    assert "one-session@example.com" in here.get("/account/")
    assert "Session ended" in here.get("/account/history/")
