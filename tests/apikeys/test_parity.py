"""Every deed of a page has its call in the API and its command, and comes to the same whoever does it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from apikeys import services
from apikeys.api.answers import keys_json
from apikeys.models import APIKey
from apikeys.services.rotation import current_secret
from apikeys.urls import urlpatterns
from audit.models import Event
from credentials.scopes.models import Scope
from tests.accounts.mailbox import post
from tests.apikeys.key_pages import browser, form_of
from tests.apikeys.management import KEYS, Api
from tests.clients.calls import COMMANDS
from tests.conftest import ORIGIN, MakeKey

__all__ = ["browser"]

pytestmark = pytest.mark.django_db

CALLS = {
    "new": ("POST", "keys"),
    "edit": ("PATCH", "keys/{}"),
    "networks": ("PATCH", "keys/{}"),
    "rotate": ("POST", "keys/{}/rotate"),
    "end_overlap": ("POST", "keys/{}/end-overlap"),
    "pause": ("POST", "keys/{}/pause"),
    "pause_many": ("POST", "keys/{}/pause"),
    "resume": ("POST", "keys/{}/resume"),
    "revoke": ("DELETE", "keys/{}"),
    "revoke_many": ("DELETE", "keys/{}"),
    "list": ("GET", "keys"),
    "detail": ("GET", "keys/{}"),
    "first_call": ("GET", "keys/{}/usage"),
}
"""The call that does what a page does."""
PAGES_ONLY = {
    "reveal": "no credential can show another",
    "check_networks": "changes nothing",
    "add_networks": "fills in a form",
}
OVERLAP = timedelta(hours=24)
CHANGING = re.compile(r"(_at|_until|^id|^hint|^secret|^until)$")
"""Members that differ between two keys that went through the same."""
HINT = re.compile(r"(?<=…)\w{4}$")


class Deed(NamedTuple):
    """What is done to a key by its page, by the API, and by a command of operators if they have one of the same."""

    before: Callable[[APIKey], object]
    page: Callable[[Client, APIKey], object]
    api: Callable[[Api, str], Any]
    command: tuple[str, ...] = ()


def nothing(key: APIKey) -> None:
    pass


def rotated(key: APIKey) -> None:
    services.rotate(key=key, replaces=current_secret(key).pk, overlap=OVERLAP, origin=ORIGIN)


def paused(key: APIKey) -> None:
    services.pause(key=key, reason="x", origin=ORIGIN)


def rotate_by_page(overlap: str, reason: str) -> Callable[[Client, APIKey], object]:
    def act(browser: Client, key: APIKey) -> object:
        fields = {"replaces": current_secret(key).pk, "overlap": overlap, "reason": reason}
        return post(browser, f"/keys/{key.pk}/rotate/", **fields)

    return act


def edit_by_page(browser: Client, key: APIKey) -> object:
    fields = {"name": "after", "scopes": ["reports:read"], "expiry": "never", "networks": "192.0.2.0/24"}
    return post(browser, f"/keys/{key.pk}/edit/", version=str(key.version), **fields)


CHANGES = {"name": "after", "scopes": ["reports:read"], "networks": ["192.0.2.0/24"]}
DEEDS = {
    "edit": Deed(nothing, edit_by_page, lambda api, path: api("PATCH", path, CHANGES)),
    "rotate": Deed(
        nothing,
        rotate_by_page("24", ""),
        lambda api, path: api.post(f"{path}/rotate", {"overlap": "24h"}),
        ("rotatekey", "--overlap=24h"),
    ),
    "it leaked": Deed(
        nothing,
        rotate_by_page("0", "in a log"),
        lambda api, path: api.post(f"{path}/rotate", {"overlap": 0, "reason": "in a log"}),
        ("rotatekey", "--overlap=0", "--reason=in a log"),
    ),
    "end the overlap": Deed(
        rotated,
        lambda browser, key: post(browser, f"/keys/{key.pk}/end-overlap/"),
        lambda api, path: api.post(f"{path}/end-overlap"),
        ("endoverlap",),
    ),
    "pause": Deed(
        nothing,
        lambda browser, key: post(browser, f"/keys/{key.pk}/pause/", reason="noisy", until="24"),
        lambda api, path: api.post(
            f"{path}/pause", {"reason": "noisy", "until": f"{timezone.now() + timedelta(hours=24):%Y-%m-%dT%H:%M:%SZ}"}
        ),
    ),
    "resume": Deed(
        paused,
        lambda browser, key: post(browser, f"/keys/{key.pk}/resume/"),
        lambda api, path: api.post(f"{path}/resume"),
    ),
    "revoke": Deed(
        nothing,
        lambda browser, key: post(browser, f"/keys/{key.pk}/revoke/", typed=key.name, reason="done with it"),
        lambda api, path: api("DELETE", f"{path}?reason=done%20with%20it"),
        ("revokekey", "--reason=done with it"),
    ),
}


def steady(value: Any) -> Any:
    """Return a JSON value without what differs between two keys: ids and times become whether they are there."""
    if isinstance(value, list):
        return [steady(item) for item in value]
    if isinstance(value, dict):
        changing = {name for name in value if CHANGING.search(name) and not isinstance(value[name], list)}
        return {name: bool(item) if name in changing else steady(item) for name, item in value.items()}
    return HINT.sub("", value) if isinstance(value, str) else value


def outcome(key: APIKey) -> Any:
    """Return what has become of a key, and what its history says of it."""
    shown = keys_json([APIKey.objects.prefetch_related("secrets").get(pk=key.pk)])
    events = Event.objects.filter(subject_id=key.pk).exclude(verb="key_created").order_by("at")
    return steady(shown), [(event.verb, steady(event.details)) for event in events]


def test_every_deed_of_a_page_has_a_call_and_every_call_a_command() -> None:
    assert {pattern.name for pattern in urlpatterns} == {*CALLS, *PAGES_ONLY}
    assert {CALLS[name] for name in CALLS} <= set(COMMANDS)


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_a_deed_comes_to_the_same_by_page_api_and_command(
    browser: Client, make_key: MakeKey, scopes: list[Scope], deed: Deed
) -> None:
    api = Api(make_key(scopes=["keys:write", "reports:read"])[1])
    keys = [make_key(scopes=["reports:read"])[0] for _ in ("page", "api", "command")]
    for key in keys:
        deed.before(key)
    by_page, by_api, by_command = keys
    for key in keys:
        key.refresh_from_db()
    deed.page(browser, by_page)
    assert deed.api(api, f"{KEYS}/{by_api.pk}").status_code in (200, 201, 204)
    assert outcome(by_page) == outcome(by_api)
    assert outcome(by_page)[1][-1:]
    if deed.command:
        name, *options = deed.command
        call_command(name, by_command.pk, *options)
        assert outcome(by_command) == outcome(by_page)


def test_a_key_is_created_the_same_by_page_api_and_command(
    browser: Client, make_key: MakeKey, scopes: list[Scope]
) -> None:
    api = Api(make_key(scopes=["keys:write", "reports:read"])[1])
    wanted = {"name": "made", "environment": "test", "scopes": ["reports:read"]}
    post(browser, "/keys/new/", **form_of(browser, **wanted, networks="192.0.2.0/24"))
    api.post(KEYS, {**wanted, "networks": ["192.0.2.0/24"], "expires_at": "never"})
    options = ("--environment=test", "--scope=reports:read", "--network=192.0.2.0/24", "--expires=never")
    call_command("createkey", "dev@example.com", "--name=made", *options)
    made = APIKey.objects.filter(name="made").prefetch_related("secrets")
    shown = [steady(key) for key in keys_json(list(made))]
    assert len(shown) == 3
    assert shown[0] == shown[1] == shown[2]
    events = Event.objects.filter(verb="key_created", subject_id__in=[key.pk for key in made])
    details = [steady(event.details) for event in events]
    assert len(details) == 3
    assert details[0] == details[1] == details[2]
