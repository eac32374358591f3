"""`forgetrecords`: workers and verifiers ask anew, and the catalogue is as before."""

import io

import pytest
from django.core.management import call_command

from apikeys.verification import verify
from audit.models import Event
from credentials.scopes.models import Scope
from tests.conftest import MakeKey
from tests.oauth_client import json_of
from tests.portal import Portal
from tests.waiting import wait_until


@pytest.mark.django_db
def test_it_leaves_an_event_and_no_scope(make_key: MakeKey) -> None:
    _, secret = make_key()
    scopes = list(Scope.objects.values_list("name", flat=True))
    out = io.StringIO()
    call_command("forgetrecords", stdout=out)
    assert "forget what they hold" in out.getvalue()
    assert list(Scope.objects.values_list("name", flat=True)) == scopes
    event = Event.objects.get(verb="records_forgotten")
    assert (event.actor, event.subject_type, event.subject_id) == ("command:forgetrecords", "portal", "records")
    assert verify(secret, address=None).credential.name


def test_verifiers_elsewhere_hear_that_they_hold_nothing(portal: Portal) -> None:
    portal.make_developer("forgetting@example.com")
    _, secret = portal.make_key("forgetting@example.com", "--scope", "credentials:verify", "--restricted")
    head = {"Authorization": f"Bearer {secret}"}
    cursor = json_of(portal.get("/api/v1/changes", **head))["cursor"]
    portal.manage("forgetrecords")

    def heard() -> bool:
        answer = json_of(portal.get(f"/api/v1/changes?since={cursor}", **head))
        return bool(answer.get("reset")) or "*" in answer.get("tags", ())

    wait_until(heard)
