"""Sign-up, confirmation, log-in, sessions: what a person sees and what a stranger does not learn."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.contrib.sessions.serializers import JSONSerializer
from django.core import mail, signing
from django.db import DatabaseError, transaction
from django.test import Client, TestCase
from pytest_django import Settings

from accounts.models import PendingMessage, User
from accounts.services import deactivate_user, unconfirm_user
from accounts.sessions import STARTED, SessionStore, session_digest
from audit.models import Event
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeUser
from tests.portal import Portal

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "a quite different phrase"
COOKIE = "__Host-sessionid"


def post(client: Client, path: str, **fields: Any) -> Any:
    with TestCase.captureOnCommitCallbacks(execute=True):  # what is sent after the commit
        return client.post(path, fields, secure=True)


def log_in_by_form(client: Client, email: str = "dev@example.com", password: str = PASSWORD, **where: Any) -> Any:
    with TestCase.captureOnCommitCallbacks(execute=True):
        return client.post("/accounts/login/", {"login": email, "password": password}, secure=True, **where)


def is_logged_in(client: Client) -> bool:
    return bool(client.get("/keys/", secure=True).status_code == 200)


def confirmation_path() -> str:
    found = re.search(r"https://portal\.test(/accounts/confirm-email/\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def test_sign_up_confirm_and_in(client: Client) -> None:
    answer = post(client, "/accounts/signup/", email="New.Person@Example.com", password1=PASSWORD)
    assert answer["Location"] == "/accounts/confirm-email/"
    user = User.objects.get()
    assert (user.email, user.is_confirmed) == ("new.person@example.com", False)
    assert not is_logged_in(client)
    path = confirmation_path()
    assert "Yes, confirm" in client.get(path, secure=True).content.decode()
    assert not User.objects.get().is_confirmed
    assert post(client, path)["Location"] == "/keys/"
    assert User.objects.get().is_confirmed
    assert is_logged_in(client)
    verbs = list(Event.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["signed_up", "email_confirmed", "logged_in"]


@pytest.mark.security("A-11")
def test_a_confirmation_link_works_once_and_for_a_day(client: Client, time_machine: Any) -> None:
    post(client, "/accounts/signup/", email="new@example.com", password1=PASSWORD)
    path = confirmation_path()
    stranger = Client()
    assert post(stranger, path)["Location"].startswith("/accounts/login/")
    assert not is_logged_in(stranger)
    assert "This link no longer works" in stranger.get(path, secure=True).content.decode()


@pytest.mark.security("A-09")
def test_a_taken_address_is_answered_like_a_free_one(client: Client, developer: User) -> None:
    taken = post(client, "/accounts/signup/", email=developer.email, password1=PASSWORD)
    free = post(Client(), "/accounts/signup/", email="free@example.com", password1=PASSWORD)
    assert (taken.status_code, taken["Location"]) == (free.status_code, free["Location"])
    assert User.objects.filter(email=developer.email).count() == 1
    assert [message.to for message in mail.outbox] == [[developer.email], ["free@example.com"]]


@pytest.mark.finding("H9")
def test_a_sign_up_with_a_taken_address_leaves_nothing_behind(client: Client, developer: User) -> None:
    events = Event.objects.count()
    post(client, "/accounts/signup/", email=developer.email, password1=PASSWORD)
    assert list(User.objects.all()) == [developer]
    assert Event.objects.count() == events


@pytest.mark.security("A-15")
def test_links_in_messages_begin_with_the_configured_address(client: Client, developer: User) -> None:
    with TestCase.captureOnCommitCallbacks(execute=True):
        answer = client.post(
            "/accounts/password/reset/", {"email": developer.email}, secure=True, headers={"X-Forwarded-Host": "evil"}
        )
    assert answer.status_code == 302
    assert "https://portal.test/accounts/password/reset/key/" in str(mail.outbox[-1].body)
    assert "evil" not in str(mail.outbox[-1].message())
    refused = client.post(
        "/accounts/password/reset/", {"email": developer.email}, secure=True, headers={"Host": "evil"}
    )
    assert refused.status_code == 400


@pytest.mark.security("A-01")
@pytest.mark.security("A-04")
@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("short", False),
        ("fourteen chars", False),
        ("password123456789", False),
        ("1q2w3e4r5t6y7u8i", False),
        ("keyportal2026keyportal", False),
        ("new.person@example.com", False),
        ("aaaa bbbb cccc dddd", True),
        ("x7" * 64, True),
        ("ü" * 40, True),
    ],
)
@pytest.mark.security("A-03")
def test_a_password_is_long_and_not_common(client: Client, password: str, good: bool) -> None:
    answer = post(client, "/accounts/signup/", email="new.person@example.com", password1=password)
    assert answer.status_code == (302 if good else 200)
    assert User.objects.exists() is good


@pytest.mark.security("A-06")
@pytest.mark.parametrize(
    ("path", "kind"), [("/accounts/login/", "current-password"), ("/accounts/signup/", "new-password")]
)
def test_a_password_manager_finds_its_field_and_may_paste(client: Client, path: str, kind: str) -> None:
    page = client.get(path, secure=True).content.decode()
    (field,) = re.findall(r'<input type="password"[^>]*>', page)
    assert f'autocomplete="{kind}"' in field
    assert "maxlength" not in field
    assert "paste" not in page


@pytest.mark.security("A-07")
def test_a_password_is_stored_as_argon2id_at_the_cost_that_django_gives_it(portal: Portal, tmp_path: Path) -> None:
    portal.make_developer("hashed@example.com")
    stored = portal.shell("print(User.objects.get(email='hashed@example.com').password)")
    assert stored.startswith("argon2$argon2id$v=19$m=64,t=1,p=8$")  # cheap in the tests' portals alone
    bare = Portal(tmp_path, "sqlite:///none")
    bare.python_path = ""
    hashing = "from django.contrib.auth.hashers import make_password; print(make_password('x'))"
    hashed = bare.start_command("shell", "--no-imports", "-c", hashing)
    assert hashed.stdout.startswith("argon2$argon2id$v=19$m=102400,t=2,p=8$"), hashed.stderr


@pytest.mark.conformance("BA-04")
def test_an_address_that_basic_could_not_carry_is_refused(client: Client) -> None:
    answer = post(client, "/accounts/signup/", email='"a:b"@example.com', password1=PASSWORD)
    assert answer.status_code == 200
    assert not User.objects.exists()


@pytest.mark.parametrize("email", ["dev@example.com", "DEV@Example.COM", " dev@example.com "])
def test_the_address_is_read_in_any_case(client: Client, developer: User, email: str) -> None:
    assert log_in_by_form(client, email)["Location"] == "/keys/"
    assert is_logged_in(client)


@pytest.mark.security("A-02")
def test_no_character_of_a_password_is_dropped_or_folded(client: Client, make_user: MakeUser) -> None:
    password = "Px" * 60 + "A"
    make_user("long@example.com", password=password)
    assert log_in_by_form(client, "long@example.com", password[:-1] + "B").status_code == 200
    assert log_in_by_form(client, "long@example.com", password.lower()).status_code == 200
    assert log_in_by_form(client, "long@example.com", password).status_code == 302


@pytest.mark.security("A-09")
def test_a_wrong_password_and_an_unknown_address_are_answered_alike(client: Client, developer: User) -> None:
    wrong, unknown = log_in_by_form(client, password="wrong"), log_in_by_form(client, "nobody@example.com", "wrong")
    texts = [re.sub(r'value="[^"]*"', "", answer.content.decode()) for answer in (wrong, unknown)]
    assert wrong.status_code == unknown.status_code
    assert texts[0] == texts[1]
    assert Event.objects.filter(verb="login_failed", subject_id=developer.pk).count() == 1


def test_an_unconfirmed_person_is_sent_to_their_mailbox(client: Client, make_user: MakeUser) -> None:
    make_user("later@example.com", confirmed=False)
    assert log_in_by_form(client, "later@example.com")["Location"] == "/accounts/confirm-email/"
    assert not is_logged_in(client)
    assert mail.outbox[-1].to == ["later@example.com"]


def test_an_inactive_person_is_not_let_in(client: Client, developer: User) -> None:
    deactivate_user(user=developer, origin=ORIGIN)
    log_in_by_form(client)
    assert not is_logged_in(client)


@pytest.mark.security("S-01")
def test_the_cookie_is_new_at_log_in_and_the_database_holds_only_its_digest(client: Client, developer: User) -> None:
    client.cookies[COOKIE] = "chosen-by-somebody-else-0123456789"
    log_in_by_form(client)
    cookie = client.cookies[COOKIE]
    assert cookie.value != "chosen-by-somebody-else-0123456789"
    keys = set(Session.objects.values_list("session_key", flat=True))
    assert session_digest(cookie.value) in keys
    assert cookie.value not in str(list(Session.objects.values()))
    thief = Client()
    thief.cookies[COOKIE] = session_digest(cookie.value)
    assert is_logged_in(client)
    assert not is_logged_in(thief)


@pytest.mark.security("B-01")
def test_cookies_have_the_host_prefix_and_their_flags(client: Client, developer: User) -> None:
    log_in_by_form(client)
    for name in (COOKIE, "__Host-csrftoken", "__Host-device"):
        cookie = client.cookies[name]
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
        assert cookie["domain"] == ""


@pytest.mark.security("S-02")
def test_a_session_ends_after_half_an_hour_of_nothing_and_after_twelve_hours_of_anything(
    client: Client, developer: User, time_machine: Any
) -> None:
    start = 1_800_000_000
    time_machine.move_to(start)
    log_in_by_form(client)
    time_machine.move_to(start + 29 * 60)
    assert is_logged_in(client)
    time_machine.move_to(start + 29 * 60 + 31 * 60)
    assert not is_logged_in(client)
    time_machine.move_to(start)
    log_in_by_form(client)
    for minutes in range(0, 12 * 60, 20):
        time_machine.move_to(start + minutes * 60)
        assert is_logged_in(client)
    time_machine.move_to(start + 12 * 3600 + 60)
    assert not is_logged_in(client)


def test_a_session_without_the_note_of_its_log_in_is_over(client: Client, developer: User) -> None:
    """No log-in of the portal's own has made it."""
    log_in_by_form(client)
    assert is_logged_in(client)
    session = SessionStore.of_cookie(client.cookies[COOKIE].value)
    del session[STARTED]
    session.save()
    assert not is_logged_in(client)


@pytest.mark.security("S-03")
def test_a_cookie_is_worth_nothing_after_log_out_or_deactivation(client: Client, developer: User) -> None:
    log_in_by_form(client)
    old = client.cookies[COOKIE].value
    answer = post(client, "/accounts/logout/")
    assert answer["Clear-Site-Data"] == '"cache", "storage"'
    client.cookies[COOKIE] = old
    assert not is_logged_in(client)
    log_in_by_form(client)
    assert is_logged_in(client)
    deactivate_user(user=developer, origin=ORIGIN)
    assert not is_logged_in(client)


@pytest.mark.security("S-04")
def test_a_new_password_ends_the_other_sessions_and_every_signed_token(client: Client, developer: User) -> None:
    other = Client()
    log_in_by_form(other)
    log_in_by_form(client)
    epoch = User.objects.get().auth_epoch
    fields = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert post(client, "/accounts/password/change/", **fields).status_code == 302
    assert is_logged_in(client)
    assert not is_logged_in(other)
    assert User.objects.get().auth_epoch == epoch + 1
    assert "changed" in mail.outbox[-1].subject.lower() or "password" in mail.outbox[-1].subject.lower()
    assert NEW_PASSWORD not in str(mail.outbox[-1].message())


@pytest.mark.security("A-05")
def test_a_password_is_changed_by_who_knows_it(client: Client, developer: User) -> None:
    log_in_by_form(client)
    fields = {"oldpassword": "wrong", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert post(client, "/accounts/password/change/", **fields).status_code == 200
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.security("A-08")
@pytest.mark.conformance("BA-11")
def test_guessing_is_slowed_down_for_strangers_but_not_for_the_owners_browser(client: Client, developer: User) -> None:
    log_in_by_form(client)
    post(client, "/accounts/logout/")
    for number in range(20):
        log_in_by_form(Client(REMOTE_ADDR=f"198.51.100.{number}"), password=f"guess {number}")
    stranger = Client(REMOTE_ADDR="198.51.100.200")
    waiting = log_in_by_form(stranger)
    assert waiting.status_code == 429
    assert 0 < int(waiting["Retry-After"]) <= 31
    assert not is_logged_in(stranger)
    assert log_in_by_form(client).status_code == 302
    assert is_logged_in(client)


@pytest.mark.security("S-06")
def test_confirming_a_password_is_limited_too(client: Client, developer: User) -> None:
    log_in_by_form(client)
    answers = [post(client, "/accounts/reauthenticate/", password=f"guess {n}").status_code for n in range(12)]
    assert answers[0] == 200
    assert answers[-1] == 429


@pytest.mark.security("P-02")
def test_the_limit_counts_the_peer_whatever_it_says_of_itself(client: Client, developer: User) -> None:
    for number in range(31):
        given = {"X-Forwarded-For": f"203.0.113.{number}"}
        answer = log_in_by_form(client, f"nobody{number}@example.com", "wrong", headers=given)
    assert answer.status_code == 429


@pytest.mark.security("A-11")
def test_a_reset_link_works_once_and_is_told_to_nobody_else(client: Client, developer: User) -> None:
    post(client, "/accounts/password/reset/", email=developer.email)
    found = re.search(r"https://portal\.test(/accounts/password/reset/key/\S+)", str(mail.outbox[-1].body))
    assert found
    form = client.get(found[1], secure=True)
    assert post(client, form["Location"], password1=NEW_PASSWORD, password2=NEW_PASSWORD).status_code == 302
    assert User.objects.get().check_password(NEW_PASSWORD)
    again = Client().get(found[1], secure=True)
    assert "This link no longer works" in again.content.decode()


@pytest.mark.security("A-09")
def test_the_session_of_a_reset_does_not_hold_its_link(client: Client, developer: User) -> None:
    """Django signs what a session holds, and everybody can read what is signed."""
    post(client, "/accounts/password/reset/", email=developer.email)
    found = re.search(r"https://portal\.test(/accounts/password/reset/key/\S+-(\w+)/?)", str(mail.outbox[-1].body))
    assert found
    client.get(found[1], secure=True)
    row = Session.objects.get()
    members = signing.loads(row.session_data, salt=f"session {row.session_key}", serializer=JSONSerializer)
    assert "_password_reset_key" in members
    assert found[2] not in str(members)


def test_a_reset_for_an_unknown_address_is_answered_alike(client: Client, developer: User) -> None:
    known = post(client, "/accounts/password/reset/", email=developer.email)
    unknown = post(client, "/accounts/password/reset/", email="nobody@example.com")
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


def test_a_person_whose_confirmation_was_taken_back_sees_it_and_gets_a_new_link(log_in: LogIn, developer: User) -> None:
    client = log_in(developer)
    unconfirm_user(user=developer, origin=ORIGIN)
    assert "isn't confirmed" in client.get("/keys/", secure=True).content.decode()
    post(client, "/accounts/email/resend/")
    assert post(client, confirmation_path()).status_code == 302
    assert User.objects.get().is_confirmed


def test_the_history_tells_what_happened(client: Client, developer: User) -> None:
    log_in_by_form(client, password="wrong")
    log_in_by_form(client)
    page = client.get("/account/history/", secure=True).content.decode()
    assert "Logged in" in page
    assert "Log-in failed" in page
    assert "Account created" in page


@pytest.mark.security("L-05")
def test_the_trail_can_be_neither_changed_nor_shortened(developer: User) -> None:
    for write in (lambda: Event.objects.update(verb="nothing"), lambda: Event.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            write()
    assert Event.objects.filter(verb="user_created").exists()


@pytest.mark.security("R-33")
def test_a_mail_server_that_is_down_changes_no_answer(
    client: Client, developer: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    signed_up = post(client, "/accounts/signup/", email="new@example.com", password1=PASSWORD)
    assert signed_up["Location"] == "/accounts/confirm-email/"
    known, unknown = (
        post(Client(), "/accounts/password/reset/", email=one) for one in (developer.email, "no@example.com")
    )
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    waiting = PendingMessage.objects.values_list("what", "tries")
    assert sorted(waiting) == [("email_confirmation_signup", 0), ("password_reset_key", 0), ("unknown_account", 0)]
    assert "ConnectionRefusedError" in caplog.text
