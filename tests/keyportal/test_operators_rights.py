"""Every page of the operators' site × every action, page and write × every set of rights: what the database says then.

A newly registered admin, action or page fails here until the tables below say what it takes.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

import pytest
from django.contrib import admin
from django.contrib.admin import site
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from accounts.models import PendingMessage, User
from accounts.operators import OperatorAdmin
from accounts.services import deactivate_user, unconfirm_user
from apikeys.models import APIKey
from audit.models import Event
from credentials.scopes.models import Scope
from credentials.usage.models import SourceAddress, Usage
from keyportal.admin import PAGES, PortalAdminSite
from tests.conftest import ORIGIN, PASSWORD, LogIn, MakeKey, MakeUser
from tests.keyportal.rights import HOLDING, RIGHTS, grant, registered, snapshot, with_rights
from tests.rows import rewrite
from tokens.ending import Target
from tokens.models import Audience, Housekeeping, RevokedToken, TokenFamily
from tokens.services import issue_to_user

pytestmark = [pytest.mark.sweep, pytest.mark.django_db, pytest.mark.once, pytest.mark.finding("H7")]


class Effect(NamedTuple):
    """What an action takes: the permission, and the fields that confirm it."""

    permission: str
    fields: Mapping[str, str] = {}


ACTIONS: Final = {
    "accounts.user.confirm": Effect("act"),
    "accounts.user.unconfirm": Effect("act"),
    "accounts.user.deactivate": Effect("act"),
    "accounts.user.reactivate": Effect("act"),
    "accounts.user.end_tokens": Effect("act"),
    "apikeys.apikey.revoke_keys": Effect("act", {"reason": "leaked"}),
    "apikeys.apikey.limit_keys": Effect("act", {"limit": "7/minute"}),
    "tokens.tokenfamily.end": Effect("act"),
    "credentials.scope.delete_selected": Effect("delete", {"post": "yes"}),
    "tokens.audience.delete_selected": Effect("delete", {"post": "yes"}),
}
NEVER: Final = Effect("nobody", {"post": "yes"})
"""What nobody may do, superusers included: deleting what the trail and the verbs depend on."""
PAGES_OF_MODELS: Final = {"tokens.tokenfamily.find", "tokens.tokenfamily.find_end"}
DJANGOS_OWN: Final = {"changelist", "add", "history", "delete", "change"}
EVERY_ACTION: Final = sorted(
    f"{label}.{name}" for label, page in registered().items() for _, name, _ in page._get_base_actions()
)


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
        Scope.objects.create(name="reports:read", description="Read"),
        Audience.objects.create(uri="https://reports.test", description="Reports"),
        Event.objects.order_by("id")[0],
        PendingMessage.objects.get(),  # that there is a new key
        Usage.objects.create(credential=key.pk, hour=now, entry_point="api", outcome="accepted", count=1),
        SourceAddress.objects.create(credential=key.pk, address="192.0.2.1", first_at=now, last_at=now),
        RevokedToken.objects.create(issuer="x", token_id="tok_x", expires_at=now + timedelta(days=1)),
        Housekeeping.objects.create(task="purge", started_at=now, by="test"),
    ]
    return {row._meta.label_lower: row for row in every}


def prepare(target: Model, name: str) -> None:
    """Bring a row into the state in which the action changes it."""
    if name == "accounts.user.confirm":
        unconfirm_user(user=target, origin=ORIGIN)  # type: ignore[arg-type]  # it is a user
    if name == "accounts.user.reactivate":
        deactivate_user(user=target, origin=ORIGIN)  # type: ignore[arg-type]  # it is a user


def list_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def forms_of(target: Model, action: str, effect: Effect) -> list[dict[str, Any]]:
    """Return the form of the list, the one that confirms, and both as nobody's page would send them."""
    chosen = {"action": action, "_selected_action": [target.pk]}
    everything = {"action": action, "select_across": "1", "index": "0", "_selected_action": ["x"], **effect.fields}
    second = {"action": ["", action], "index": "1", "_selected_action": [target.pk], **effect.fields}
    return [chosen, {**chosen, **effect.fields}, {**chosen, "index": "0", **effect.fields}, everything, second]


@pytest.mark.parametrize("rights", RIGHTS)
@pytest.mark.parametrize("name", EVERY_ACTION)
def test_an_action_needs_the_permission_that_it_names(
    log_in: LogIn, make_user: MakeUser, rows: dict[str, Model], name: str, rights: str
) -> None:
    label, _, action = name.rpartition(".")
    effect = ACTIONS.get(name, NEVER if action == "delete_selected" else None)
    assert effect, f"say in ACTIONS what {name} takes"
    target = rows[label]
    browser = log_in(with_rights(make_user, type(target), rights))
    prepare(target, name)
    before = snapshot()
    for form in forms_of(target, action, effect):
        browser.post(list_of(type(target)), form, secure=True)
    assert (snapshot() != before) is (rights in HOLDING.get(effect.permission, set()))


@pytest.mark.parametrize("rights", RIGHTS)
@pytest.mark.parametrize("label", sorted(registered()))
def test_a_write_by_a_form_needs_the_permission_of_that_write(
    log_in: LogIn, make_user: MakeUser, rows: dict[str, Model], label: str, rights: str
) -> None:
    target = rows[label]
    browser = log_in(with_rights(make_user, type(target), rights))
    one = f"{list_of(type(target))}{quote(target.pk)}/"
    sent = {"name": "new:scope", "description": "new", "email": "new@example.com", "is_superuser": "on", "count": "9"}
    sent |= {"uri": "https://new.test"}
    sent |= {"is_staff": "on", "is_active": "", "user_permissions": "1", "groups": "1", "owner": "x", "scopes": "all"}
    own = label in ("credentials.scope", "tokens.audience")
    for path, right, form in (
        (f"{list_of(type(target))}add/", "add", sent),
        (f"{one}change/", "change", sent),
        (f"{one}change/?_to_field={target._meta.pk.name if target._meta.pk else ''}", "change", sent),
        (f"{one}delete/", "delete", {"post": "yes"}),
        (list_of(type(target)), "nothing", {"_save": "x", "form-0-id": target.pk, "form-TOTAL_FORMS": "1", **sent}),
    ):
        before = snapshot()
        browser.post(path, form, secure=True)
        may = own and rights in HOLDING.get(right, set())
        assert (snapshot() != before) is (may and "_to_field" not in path), path


@pytest.mark.parametrize("rights", RIGHTS)
@pytest.mark.parametrize("label", sorted(registered()))
def test_seeing_needs_the_permission_to_see(
    log_in: LogIn, make_user: MakeUser, rows: dict[str, Model], label: str, rights: str
) -> None:
    target = rows[label]
    user = with_rights(make_user, type(target), rights)
    browser = log_in(user)
    may = rights in HOLDING["view"]
    one = f"{list_of(type(target))}{quote(target.pk)}/"
    for path in (list_of(type(target)), f"{one}change/"):
        assert (browser.get(path, secure=True).status_code == 200) is may, path
    trail = may and user.has_perm("audit.view_event")
    assert (browser.get(f"{one}history/", secure=True).status_code == 200) is trail
    missing = browser.get(f"{list_of(type(target))}nothing_here/history/", secure=True)
    assert missing.status_code == (404 if trail else browser.get(f"{one}history/", secure=True).status_code)
    index = browser.get("/admin/", secure=True)
    assert (f'href="{list_of(type(target))}"' in index.content.decode()) is (may and index.status_code == 200)


class Level(NamedTuple):
    """An account that an operator might act on, and whether one with all rights on keys, apps and accounts may."""

    may: bool
    staff: bool = False
    superuser: bool = False
    rights: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    off: bool = False


OPERATOR: Final = tuple(
    f"{model}_{name}"
    for name, models in {"apikey": ("apikeys.",), "tokenfamily": ("tokens.",), "user": ("accounts.",)}.items()
    for model in (f"{models[0]}view", f"{models[0]}change")
)
LEVELS: Final = {
    "a developer": Level(may=True),
    "an operator with the same rights": Level(may=True, staff=True, rights=OPERATOR),
    "an operator with fewer rights": Level(may=True, staff=True, rights=OPERATOR[:1]),
    "an operator with one more right": Level(may=False, staff=True, rights=("credentials.add_scope",)),
    "an operator with one more right by a group": Level(may=False, staff=True, group=("credentials.add_scope",)),
    "the same, switched off": Level(may=False, staff=True, rights=("credentials.add_scope",), off=True),
    "a superuser": Level(may=False, staff=True, superuser=True),
    "a superuser who is no operator": Level(may=False, superuser=True),
    "a superuser who is switched off": Level(may=False, staff=True, superuser=True, off=True),
}


def account(make_user: MakeUser, level: Level) -> User:
    user = make_user("target@example.com")
    rewrite(user, is_staff=level.staff, is_superuser=level.superuser)
    grant(user, *level.rights)
    if level.group:
        team = Group.objects.create(name="team")
        names = [name.partition(".")[2] for name in level.group]
        team.permissions.add(*Permission.objects.filter(codename__in=names))
        user.groups.add(team)
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS.keys())
@pytest.mark.parametrize("name", [name for name in ACTIONS if ACTIONS[name].permission == "act"])
def test_nobody_acts_on_an_account_that_has_more_rights(
    log_in: LogIn, make_user: MakeUser, make_key: MakeKey, name: str, level: Level
) -> None:
    label, _, action = name.rpartition(".")
    owner = account(make_user, level)
    key, _ = make_key(owner=owner)
    issue_to_user(user=owner, scopes=None, agent="", origin=ORIGIN)
    if level.off:
        deactivate_user(user=owner, origin=ORIGIN)
    targets = {"accounts.user": owner, "apikeys.apikey": key, "tokens.tokenfamily": TokenFamily.objects.get()}
    operator = make_user("lesser@example.com")
    rewrite(operator, is_staff=True)
    browser = log_in(grant(operator, *OPERATOR))
    prepare(targets[label], name)
    before = snapshot()
    for form in forms_of(targets[label], action, ACTIONS[name]):
        form.pop("select_across", None)
        browser.post(list_of(type(targets[label])), form, secure=True)
    assert (snapshot() != before) is level.may
    refused = Event.objects.filter(verb="action_refused", actor=f"user:{operator.pk}")
    subject = key.pk if label == "apikeys.apikey" else owner.pk
    assert refused.filter(subject_id=subject).exists() is not level.may


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS.keys())
@pytest.mark.parametrize("kind", ["key", "family", "token of a key", "token of a user"])
def test_what_a_search_finds_is_ended_by_the_same_rule(
    log_in: LogIn, make_user: MakeUser, make_key: MakeKey, kind: str, level: Level
) -> None:
    owner = account(make_user, level)
    key, _ = make_key(owner=owner)
    issue_to_user(user=owner, scopes=None, agent="", origin=ORIGIN)
    targets = {
        "key": Target(kind="key", id=key.pk),
        "family": Target(kind="family", id=TokenFamily.objects.get().pk),
        "token of a key": Target(kind="token", id="tok_x", subject=f"key:{key.pk}", issuer="x", expires_at=2**31),
        "token of a user": Target(kind="token", id="tok_x", subject=f"user:{owner.pk}", issuer="x", expires_at=2**31),
    }
    operator = make_user("lesser@example.com")
    rewrite(operator, is_staff=True)
    browser = log_in(grant(operator, *OPERATOR))
    before = snapshot()
    browser.post("/admin/tokens/tokenfamily/find/end/", {"target": targets[kind].signed}, secure=True)
    assert (snapshot() != before) is level.may
    refused = Event.objects.filter(verb="action_refused", subject_id=owner.pk)
    assert refused.exists() is not level.may


@pytest.mark.parametrize("rights", RIGHTS)
@pytest.mark.parametrize("kind", ["key", "family"])
def test_the_pages_of_the_search_need_the_rights_of_what_they_find(
    log_in: LogIn, make_user: MakeUser, make_key: MakeKey, developer: User, kind: str, rights: str
) -> None:
    key, secret = make_key()
    issued = issue_to_user(user=developer, scopes=None, agent="a tool", origin=ORIGIN)
    family = TokenFamily.objects.get()
    model = APIKey if kind == "key" else TokenFamily
    browser = log_in(with_rights(make_user, model, rights))
    text, shown = (secret, key.pk) if kind == "key" else (issued.refresh_token or "", family.pk)
    answer = browser.post("/admin/tokens/tokenfamily/find/", {"credential": text}, secure=True)
    is_operator = rights not in ("none", "change", "not staff", "deactivated", "unconfirmed")
    assert (answer.status_code == 200) is is_operator  # somebody with other rights finds other things
    page = answer.content.decode()
    assert (shown in page) is (rights in HOLDING["view"])
    assert ("End it for good" in page) is (rights in HOLDING["act"])
    before = snapshot()
    target = Target(kind=kind, id=key.pk if kind == "key" else family.pk)
    browser.post("/admin/tokens/tokenfamily/find/end/", {"target": target.signed}, secure=True)
    assert (snapshot() != before) is (rights in HOLDING["act"])


def test_a_target_that_the_portal_did_not_sign_ends_nothing(log_in: LogIn, operator: User, make_key: MakeKey) -> None:
    key, _ = make_key()
    signed = Target(kind="key", id=key.pk).signed
    browser = log_in(operator)
    for target in ("", "x", key.pk, signed[:-1], f"x{signed}"):
        answer = browser.post("/admin/tokens/tokenfamily/find/end/", {"target": target}, secure=True, follow=True)
        assert "form has expired" in answer.content.decode()
    assert browser.get("/admin/tokens/tokenfamily/find/end/", secure=True).status_code == 405
    assert APIKey.objects.get().revoked_at is None


def test_operators_don_t_shut_themselves_out(log_in: LogIn, make_user: MakeUser) -> None:
    me = make_user("me@example.com")
    rewrite(me, is_staff=True)
    browser = log_in(grant(me, *OPERATOR))
    for action in ("deactivate", "unconfirm"):
        browser.post("/admin/accounts/user/", {"action": action, "_selected_action": [me.pk]}, secure=True)
    assert browser.get("/admin/", secure=True).status_code == 200


# What a new page has to say before these tests let it pass.


def test_every_admin_is_an_operators_and_every_action_names_a_permission() -> None:
    assert set(ACTIONS) <= set(EVERY_ACTION)
    for label, page in registered().items():
        assert issubclass(type(page), OperatorAdmin), label
        assert page.inlines == (), f"{label}: an inline writes too; test it"
        assert page.list_editable == (), f"{label}: a list that is edited writes too; test it"
        for function, name, _ in page._get_base_actions():
            named = getattr(function, "allowed_permissions", ())
            assert named, f"{label}.{name} names no permission"
            assert all(hasattr(page, f"has_{permission}_permission") for permission in named)


def test_every_page_is_known_and_names_a_permission() -> None:
    found = set()
    for label, page in registered().items():
        prefix = label.replace(".", "_") + "_"
        declared = {f"{prefix}{method.__name__}": method.operators_permission for method in page.pages()}
        names = {url.name for url in page.get_urls() if url.name}
        assert names - {f"{prefix}{own}" for own in DJANGOS_OWN} == set(declared), f"{label}: use operators_page"
        assert all(hasattr(page, f"has_{permission}_permission") for permission in declared.values())
        found |= {f"{label}.{name.removeprefix(prefix)}" for name in declared}
    assert found == PAGES_OF_MODELS
    assert set(filter(None, (getattr(url, "name", None) for url in site.get_urls()))) == PAGES


def test_an_action_that_names_no_permission_is_nobodys(operator: User) -> None:
    class Careless(OperatorAdmin):
        actions = ("destroy",)

        @admin.action
        def destroy(self, request: HttpRequest, queryset: Any) -> None:
            """Name nothing."""

    request = HttpRequest()
    request.user = operator
    careless = Careless(Scope, site)
    assert set(careless.get_actions(request)) == {"delete_selected"}


def test_an_admin_of_another_kind_is_not_registered() -> None:
    other = PortalAdminSite()
    for kind in (None, admin.ModelAdmin):
        with pytest.raises(ImproperlyConfigured, match="must be an OperatorAdmin"):
            other.register(Scope, kind)
    other.register(Group, admin.ModelAdmin)  # what a library brings, and nobody needs
    assert other._registry == {}


@pytest.mark.security("A-13")
def test_the_admin_has_no_log_in_of_its_own(log_in: LogIn, make_user: MakeUser, operator: User) -> None:
    """Django's form would ask for no second factor and count no guesses, and change who somebody is."""
    lesser = make_user("lesser@example.com")
    rewrite(lesser, is_staff=True)
    browser = log_in(User.objects.get(pk=lesser.pk))
    guess = {"username": operator.email, "password": PASSWORD, "next": "/admin/"}
    for path in ("/admin/login/", "/admin/login/?next=/admin/accounts/user/"):
        assert browser.post(path, guess, secure=True)["Location"] == "/admin/"
        assert browser.get(path, secure=True)["Location"] == "/admin/"
    assert browser.get("/admin/accounts/user/", secure=True).status_code == 403
    anonymous = Client().post("/admin/login/", guess, secure=True)
    assert anonymous["Location"].startswith("/accounts/login/")
    developer = log_in(make_user("developer@example.com"))
    assert developer.post("/admin/login/", guess, secure=True).status_code == 403
