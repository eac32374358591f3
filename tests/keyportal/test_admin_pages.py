"""Pages of the operators' site: Django's own that are not there, few rights, histories, long lists."""

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.test import Client

from accounts.models import User
from apikeys.models import APIKey
from audit.models import Event
from tests.conftest import LogIn, MakeKey
from tests.keyportal.operators_desk import desk, rows
from tests.keyportal.rights import grant, registered
from tests.rows import rewrite

__all__ = ["desk", "rows"]

pytestmark = [pytest.mark.sweep, pytest.mark.django_db, pytest.mark.once, pytest.mark.finding("H7")]


@pytest.mark.parametrize(
    "path",
    [
        "autocomplete/?app_label=mfa&model_name=authenticator&field_name=user&term=a",
        "autocomplete/?app_label=apikeys&model_name=apikey&field_name=owner&term=",
        "r/1/1/",
        "password_change/done/",
        "auth/user/",
        "auth/group/",
        "auth/group/add/",
        "mfa/authenticator/",
        "usersessions/usersession/",
        "account/emailaddress/",
        "admin/logentry/",
        "sessions/session/",
    ],
)
def test_djangos_pages_that_look_up_rows_are_not_there(desk: Client, path: str) -> None:
    assert desk.get(f"/admin/{path}", secure=True).status_code == 404


def test_somebody_with_few_rights_sees_only_what_they_may(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    make_key()
    rewrite(operator, is_superuser=False)
    browser = log_in(grant(operator, "keyportal.view_taskrun"))
    index = browser.get("/admin/", secure=True).content.decode()
    assert "/admin/keyportal/taskrun/" in index
    for hidden in ("/admin/accounts/", "/admin/apikeys/", "/admin/credentials/", "/tokenfamily/", "/find/"):
        assert hidden not in index
    for path in ("accounts/", "apikeys/", "credentials/"):
        assert browser.get(f"/admin/{path}", secure=True).status_code == 404
    assert browser.get("/admin/keyportal/", secure=True).status_code == 200
    assert browser.get("/admin/jsi18n/", secure=True).status_code == 200
    assert browser.get("/admin/tokens/tokenfamily/find/", secure=True).status_code == 403


def test_jsi18n_is_for_operators(client: Client, log_in: LogIn, developer: User) -> None:
    assert client.get("/admin/jsi18n/", secure=True).status_code == 302
    assert log_in(developer).get("/admin/jsi18n/", secure=True).status_code == 403


def test_the_trail_is_the_only_log(desk: Client, operator: User) -> None:
    base = "/admin/credentials/scope/"
    desk.post(f"{base}add/", {"name": "a:b", "description": "x"}, secure=True)
    desk.post(f"{base}a_3Ab/change/", {"description": "y"}, secure=True)
    page = desk.get(f"{base}a_3Ab/history/", secure=True).content.decode()
    assert "Scope added to the catalogue" in page
    assert "Scope changed in the catalogue" in page
    assert f"user:{operator.pk}" in page
    desk.post(f"{base}a_3Ab/delete/", {"post": "yes"}, secure=True)
    assert not LogEntry.objects.exists()
    assert "Scope removed from the catalogue" in desk.get("/admin/", secure=True).content.decode()


def test_second_factors_are_nowhere_in_the_site(desk: Client, developer: User) -> None:
    Authenticator.objects.create(user=developer, type=Authenticator.Type.TOTP, data={"secret": "planted-seed"})
    pages = [
        desk.get(f"/admin/accounts/user/{quote(developer.pk)}/{page}/", secure=True) for page in ("change", "history")
    ]
    assert all(page.status_code == 200 for page in pages)
    assert all("planted-seed" not in page.content.decode() for page in pages)
    assert developer.password not in pages[0].content.decode()


def test_the_history_of_a_log_in_is_its_own(desk: Client, developer: User, rows: None) -> None:
    family = registered()["tokens.tokenfamily"].model.objects.get()
    details = {"family": family.pk, "reason": "told by a test"}
    Event.objects.create(
        verb="tokens_revoked", actor="x", subject_type="user", subject_id=developer.pk, details=details
    )
    page = desk.get(f"/admin/tokens/tokenfamily/{quote(family.pk)}/history/", secure=True).content.decode()
    assert "told by a test" in page
    assert "Account created" not in page


def test_a_list_of_too_many_keys_is_not_named_at_once(
    desk: Client, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apikeys.admin_actions.MAX_AT_ONCE", 1)
    for _ in range(2):
        make_key()
    form = {"action": "revoke_keys", "select_across": "1", "index": "0", "_selected_action": ["x"], "reason": "all"}
    answer = desk.post("/admin/apikeys/apikey/", form, secure=True, follow=True)
    assert "Too many keys are selected" in answer.content.decode()
    assert not APIKey.objects.exclude(revoked_at=None).exists()
