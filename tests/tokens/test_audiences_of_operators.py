"""How operators keep audiences: in the admin, through verbs, on the record."""

from collections.abc import Callable

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from pytest_django import Settings

from audit.models import Event
from tests.conftest import ORIGIN, MakeKey
from tests.keyportal.test_admin import act
from tests.keyportal.test_texts import BAD, GOOD
from tests.tokens.audiences import REPORTS
from tokens import services
from tokens.audiences import is_registered
from tokens.models import Audience
from vault.claims import MAX_TEXT

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H39")]
AUDIENCES = "/admin/tokens/audience/"
LONG = "https://reports.test/" + "x" * (MAX_TEXT - 21)


@pytest.fixture
def desk(log_in: Callable[..., Client], operator: object) -> Client:
    """An operator's browser."""
    return log_in(operator)


def add(desk: Client, uri: str, description: str = "Reports") -> str:
    """Send the form; return the page that it leads to, or that says what is wrong."""
    fields = {"uri": uri, "description": description}
    return desk.post(f"{AUDIENCES}add/", fields, secure=True, follow=True).content.decode()


def test_audiences_are_kept_through_verbs(desk: Client) -> None:
    assert "was added successfully" in add(desk, REPORTS, GOOD)
    row = Audience.objects.get()
    assert (row.uri, row.description, row.seal_is_valid(), is_registered(REPORTS)) == (REPORTS, GOOD, True, True)
    page = f"{AUDIENCES}{quote(row.pk)}/change/"
    desk.post(page, {"uri": "https://other.test", "description": "All reports"}, secure=True)
    row.refresh_from_db()
    assert (row.uri, row.description, is_registered(REPORTS)) == (REPORTS, "All reports", True)
    history = desk.get(f"{AUDIENCES}{quote(row.pk)}/history/", secure=True).content.decode()
    assert "Audience added" in history
    assert "Audience description changed" in history
    act(desk, AUDIENCES, "delete_selected", row.pk, post="yes")
    assert not Audience.objects.exists()
    add(desk, REPORTS)
    desk.post(f"{AUDIENCES}{quote(Audience.objects.get().pk)}/delete/", {"post": "yes"}, secure=True)
    events = Event.objects.filter(subject_type="audience").order_by("id")
    assert {event.details["uri"] for event in events} == {REPORTS}
    assert [event.verb for event in events] == [
        *("audience_added", "audience_changed", "audience_removed"),
        *("audience_added", "audience_removed"),
    ]


@pytest.mark.parametrize("uri", ["", "reports", "HTTPS://reports.test", f"{REPORTS}#all", f"{LONG}x", "https://a b"])
def test_what_no_client_can_name_is_no_audience(desk: Client, uri: str) -> None:
    assert "errornote" in add(desk, uri)
    assert not Audience.objects.exists()


def test_an_audience_may_be_as_long_as_a_claim(desk: Client) -> None:
    add(desk, LONG)
    assert is_registered(LONG)


def test_the_portal_s_own_audience_is_kept_by_its_setting(desk: Client, settings: Settings) -> None:
    assert "KEYPORTAL_AUDIENCE" in add(desk, "https://portal.test")
    assert not Audience.objects.exists()
    settings.KEYPORTAL_AUDIENCE = REPORTS
    assert "errornote" in add(desk, REPORTS)
    assert "errornote" not in add(desk, "https://portal.test")


def test_an_audience_stands_once(desk: Client) -> None:
    add(desk, REPORTS)
    assert "Audience with this URI already exists." in add(desk, REPORTS)
    assert Audience.objects.count() == 1


@pytest.mark.parametrize("text", BAD)
def test_a_description_is_held_to_the_rule_of_texts(desk: Client, text: str) -> None:
    assert "errornote" in add(desk, REPORTS, text)
    assert not Audience.objects.exists()


def test_a_secret_that_was_typed_by_mistake_is_not_shown_again(desk: Client, make_key: MakeKey) -> None:
    _, secret = make_key()
    for uri, description in ((f"{REPORTS}/{secret}", "x"), (REPORTS, secret)):
        page = add(desk, uri, description)
        assert "errornote" in page
        assert secret not in page
    assert not Audience.objects.exists()


def test_an_audience_that_is_gone_is_neither_changed_nor_removed() -> None:
    row = services.add_audience(uri=REPORTS, description="Reports", origin=ORIGIN)
    assert services.change_audience(audience=row, description="x", origin=ORIGIN)
    assert services.remove_audience(audience=row, origin=ORIGIN)
    assert not services.remove_audience(audience=row, origin=ORIGIN)
    assert not services.change_audience(audience=row, description="y", origin=ORIGIN)
    assert Event.objects.filter(subject_id=row.pk).count() == 3


def test_an_audience_that_was_tampered_with_is_shown_as_such(desk: Client) -> None:
    add(desk, REPORTS)
    assert 'alt="False"' not in desk.get(AUDIENCES, secure=True).content.decode()
    Audience.objects.update(uri="https://other.test")
    assert 'alt="False"' in desk.get(AUDIENCES, secure=True).content.decode()
