"""No operator acts on an account that has more rights, whether by a list or by the search."""

from typing import Final, NamedTuple

import pytest
from django.contrib.auth.models import Group, Permission

from accounts.models import User
from accounts.services import deactivate_user
from apikeys.models import APIKey
from audit.models import Event
from tests.conftest import ORIGIN, LogIn, MakeKey, MakeUser
from tests.keyportal.operator_actions import ACTIONS, forms_of, list_of, prepare
from tests.keyportal.rights import HOLDING, RIGHTS, grant, snapshot, with_rights
from tests.rows import rewrite
from tokens.models import TokenFamily
from tokens.search_actions import Target
from tokens.services import issue_to_user

pytestmark = [pytest.mark.sweep, pytest.mark.django_db, pytest.mark.once, pytest.mark.finding("H7")]


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
