"""Every page of the operators' site × every action and write × every set of rights: what the database says then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import pytest
from django.contrib.admin.utils import quote
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts.models import IssuingState, PendingMessage, User
from apikeys.models import KeyPolicy
from audit.models import Event
from credentials.scopes.models import Scope
from credentials.usage.models import SourceAddress, Usage
from keyportal.models import TaskRun
from tests.conftest import ORIGIN, LogIn, MakeKey, MakeUser
from tests.keyportal.operator_actions import ACTIONS, EVERY_ACTION, NEVER, forms_of, list_of, prepare
from tests.keyportal.rights import HOLDING, RIGHTS, registered, snapshot, with_rights
from tokens.models import Audience, RevokedToken, TokenFamily
from tokens.services import issue_to_user

EVERY: Final = frozenset(("add", "change", "delete"))
WRITTEN_BY_FORMS: Final = {
    "credentials.scope": EVERY,
    "tokens.audience": EVERY,
    "apikeys.keypolicy": frozenset(("change",)),
    "accounts.issuingstate": frozenset(("change",)),
}
"""The models that operators write by forms, and how."""
Enter = Callable[[type[Model], str], tuple[User, Client]]
pytestmark = [pytest.mark.sweep, pytest.mark.django_db, pytest.mark.once, pytest.mark.finding("H7")]


@contextmanager
def undone() -> Iterator[None]:
    """Take back in the end what the block has written: each set of rights finds the same rows, which are made once."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def rows(make_key: MakeKey, developer: User, make_user: MakeUser) -> dict[str, Model]:
    """One row of each model, whose owner is a developer."""
    key, _ = make_key()
    issue_to_user(user=developer, scopes=None, agent="tool", origin=ORIGIN)
    now = timezone.now()
    every: list[Model] = [
        make_user("target@example.com"),
        key,
        TokenFamily.objects.get(),
        KeyPolicy.objects.create(environment="live"),
        IssuingState.objects.create(),
        Scope.objects.create(name="reports:read", description="Read"),
        Audience.objects.create(uri="https://reports.test", description="Reports"),
        Event.objects.order_by("id")[0],
        PendingMessage.objects.get(what="key created"),  # that there is a new key
        Usage.objects.create(credential=key.pk, hour=now, entry_point="api", outcome="accepted", count=1),
        SourceAddress.objects.create(credential=key.pk, address="192.0.2.1", first_at=now, last_at=now),
        RevokedToken.objects.create(issuer="x", token_id="tok_x", expires_at=now + timedelta(days=1)),
        TaskRun.objects.create(task="purge", started_at=now, by="test"),
    ]
    return {row._meta.label_lower: row for row in every}


@pytest.fixture
def enter(log_in: LogIn, make_user: MakeUser, client: Client) -> Enter:
    """Log an operator with a set of rights on a model in, in a new browser."""

    def log_somebody_in(model: type[Model], rights: str) -> tuple[User, Client]:
        client.cookies.clear()
        user = with_rights(make_user, model, rights)
        return user, log_in(user)

    return log_somebody_in


@pytest.mark.parametrize("name", EVERY_ACTION)
def test_an_action_needs_the_permission_that_it_names(enter: Enter, rows: dict[str, Model], name: str) -> None:
    label, _, action = name.rpartition(".")
    effect = ACTIONS.get(name, NEVER if action == "delete_selected" else None)
    assert effect, f"say in ACTIONS what {name} takes"
    target = rows[label]
    prepare(target, name)
    for rights in RIGHTS:
        with undone():
            _, browser = enter(type(target), rights)
            before = snapshot()
            for form in forms_of(target, action, effect):
                browser.post(list_of(type(target)), form, secure=True)
            assert (snapshot() != before) is (rights in HOLDING.get(effect.permission, set())), rights


@pytest.mark.parametrize("label", sorted(registered()))
def test_a_write_by_a_form_needs_the_permission_of_that_write(enter: Enter, rows: dict[str, Model], label: str) -> None:
    for rights in RIGHTS:
        with undone():
            write_by_every_form(enter, rows[label], label, rights)


def write_by_every_form(enter: Enter, target: Model, label: str, rights: str) -> None:
    """Send the forms of a row, and see which of them write."""
    _, browser = enter(type(target), rights)
    one = f"{list_of(type(target))}{quote(target.pk)}/"
    sent = {"name": "new:scope", "description": "new", "email": "new@example.com", "is_superuser": "on", "count": "9"}
    sent |= {"issue": "off", "reason": "a leak"}
    sent |= {"uri": "https://new.test", "max_days": "90", "allows_never": "on"}
    sent |= {"is_staff": "on", "is_active": "", "user_permissions": "1", "groups": "1", "owner": "x", "scopes": "all"}
    for path, right, form in (
        (f"{list_of(type(target))}add/", "add", sent),
        (f"{one}change/", "change", sent),
        (f"{one}change/?_to_field={target._meta.pk.name if target._meta.pk else ''}", "change", sent),
        (f"{one}delete/", "delete", {"post": "yes"}),
        (list_of(type(target)), "nothing", {"_save": "x", "form-0-id": target.pk, "form-TOTAL_FORMS": "1", **sent}),
    ):
        before = snapshot()
        browser.post(path, form, secure=True)
        may = right in WRITTEN_BY_FORMS.get(label, ()) and rights in HOLDING.get(right, set())
        assert (snapshot() != before) is (may and "_to_field" not in path), (rights, path)


@pytest.mark.parametrize("label", sorted(registered()))
def test_seeing_needs_the_permission_to_see(enter: Enter, rows: dict[str, Model], label: str) -> None:
    for rights in RIGHTS:
        with undone():
            see_everything(enter, rows[label], rights)


def see_everything(enter: Enter, target: Model, rights: str) -> None:
    """Open every page of a row, and see which of them show it."""
    user, browser = enter(type(target), rights)
    may = rights in HOLDING["view"]
    one = f"{list_of(type(target))}{quote(target.pk)}/"
    for path in (list_of(type(target)), f"{one}change/"):
        assert (browser.get(path, secure=True).status_code == 200) is may, (rights, path)
    trail = may and user.has_perm("audit.view_event")
    assert (browser.get(f"{one}history/", secure=True).status_code == 200) is trail, rights
    missing = browser.get(f"{list_of(type(target))}nothing_here/history/", secure=True)
    assert missing.status_code == (404 if trail else browser.get(f"{one}history/", secure=True).status_code)
    index = browser.get("/admin/", secure=True)
    assert (f'href="{list_of(type(target))}"' in index.content.decode()) is (may and index.status_code == 200), rights
