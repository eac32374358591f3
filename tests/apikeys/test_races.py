"""Races between real requests on two workers: the database decides, the same way on SQLite and PostgreSQL."""

import re
from collections import Counter
from http import HTTPStatus
from urllib.error import HTTPError

import pytest

from tests.parallel import all_at_once
from tests.portal import Portal
from tests.portal_user import PASSWORD, PortalUser

PARALLEL = 16
SECRET = re.compile(rb"kp_live_[0-9A-Za-z]{49}")


@pytest.mark.security("R-08")
def test_many_revocations_at_once_are_one_event(portal: Portal) -> None:
    portal_user = PortalUser(portal, "race-revoke@example.com")
    key, secret = portal.make_key("race-revoke@example.com")
    token = portal_user.field(f"/keys/{key}/revoke/", "csrfmiddlewaretoken")
    all_at_once(
        PARALLEL, lambda number: portal_user.post(f"/keys/{key}/revoke/", token=token, reason=f"reason {number}")
    )
    assert portal.get("/api/v1/me", Authorization=f"Bearer {secret}").status == 401
    counted = portal.shell(f"print(Event.objects.filter(verb='key_revoked', subject_id='{key}').count())")
    assert counted == "1"


@pytest.mark.security("Z-12")
def test_one_form_sent_many_times_at_once_makes_one_key_and_shows_its_secret_once(portal: Portal) -> None:
    portal_user = PortalUser(portal, "race-create@example.com")
    page = portal_user.get("/keys/new/")
    csrf, form = (re.search(rf'name="{name}" value="([^"]+)"', page) for name in ("csrfmiddlewaretoken", "form_token"))
    assert csrf
    assert form
    fields = {"name": "once", "environment": "live", "expiry": "never", "form_token": form[1]}
    pages = all_at_once(PARALLEL, lambda _: portal_user.post("/keys/new/", token=csrf[1], **fields))
    shown = Counter(bool(SECRET.search(page)) for page in pages if isinstance(page, bytes))
    assert shown == {True: 1, False: PARALLEL - 1}
    assert portal.shell("print(APIKey.objects.filter(owner__email='race-create@example.com').count())") == "1"


@pytest.mark.security("Z-08")
@pytest.mark.security("R-12")
@pytest.mark.security("Z-12")
def test_at_the_limit_exactly_one_more_key_is_made(portal: Portal) -> None:
    portal_user = PortalUser(portal, "race-limit@example.com")
    portal.shell(
        "from audit.origin import Origin; from apikeys.services import create_key; "
        "owner = User.objects.get(email='race-limit@example.com'); "
        "[create_key(owner=owner, name='x', environment='test', origin=Origin.of_command('test')) for _ in range(199)]"
    )
    tokens = [portal_user.field("/keys/new/", "form_token") for _ in range(PARALLEL)]
    csrf = portal_user.field("/keys/new/", "csrfmiddlewaretoken")

    def create(number: int) -> bytes:
        fields = {"name": "last", "environment": "live", "expiry": "never", "form_token": tokens[number]}
        try:
            return portal_user.post("/keys/new/", token=csrf, **fields)
        except HTTPError as refused:
            if refused.code != 400:  # the form comes back and says that there are enough
                raise
            return b""

    pages = all_at_once(PARALLEL, create)
    assert sum(bool(SECRET.search(page)) for page in pages if isinstance(page, bytes)) == 1
    assert portal.shell("print(APIKey.objects.filter(owner__email='race-limit@example.com').count())") == "200"


@pytest.mark.security("A-08")
def test_guesses_at_many_workers_at_once_are_counted_together(portal: Portal) -> None:
    owner = PortalUser(portal, "race-guess@example.com")
    stranger = PortalUser(portal, "race-stranger@example.com")
    stranger.post("/accounts/logout/")
    token = stranger.field("/accounts/login/", "csrfmiddlewaretoken")

    def is_looked_at(password: str) -> bool:
        """Return whether a guess was compared with the password; else the answer is 429."""
        form = {"login": "race-guess@example.com", "password": password}
        try:
            stranger.post("/accounts/login/", token=token, **form)
        except HTTPError as refused:
            if refused.code != HTTPStatus.TOO_MANY_REQUESTS:
                raise
            return False
        return True

    looked_at = all_at_once(PARALLEL, lambda number: is_looked_at(f"guess {number}"))
    assert 1 <= looked_at.count(True) <= 10
    while is_looked_at("one more guess"):  # of a crowd some are refused that the limit would have let in
        looked_at.append(True)
    assert looked_at.count(True) <= 10
    assert not is_looked_at(PASSWORD)
    assert "No keys yet" in owner.get("/keys/")
