"""Operators with every set of rights, and what an action changed, for the tests of the operators' site."""

from collections.abc import Callable
from typing import Any, Final

from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import Model

from accounts.models import User
from accounts.services import deactivate_user, unconfirm_user
from tests.conftest import ORIGIN, MakeUser

ROOMS: Final = ("accounts", "apikeys", "credentials", "tokens")
LEFT_OUT: Final = {"Event", "AttemptWindow", "CacheEntry", "RecordedChange"}
"""What every request may write, and what triggers write also of a row that stays as it is."""
Snapshot = dict[str, list[str]]


def snapshot() -> Snapshot:
    """Return every row of the portal's own tables, but for the trail and the counters."""
    models = [model for room in ROOMS for model in apps.get_app_config(room).get_models()]
    with connection.cursor() as cursor:
        return {model._meta.label: _rows(cursor, model) for model in models if model.__name__ not in LEFT_OUT}


def _rows(cursor: Any, model: type[Model]) -> list[str]:
    cursor.execute(f'SELECT * FROM "{model._meta.db_table}"')  # a name of ours
    return sorted(str([bytes(v) if isinstance(v, memoryview) else v for v in row]) for row in cursor.fetchall())


def grant(user: User, *names: str) -> User:
    """Grant permissions, named `app.codename`; return the user as the database has it now."""
    named = Permission.objects.filter(codename__in=[name.partition(".")[2] for name in names])
    found = {f"{one.content_type.app_label}.{one.codename}": one for one in named.select_related("content_type")}
    user.user_permissions.add(*(found[name] for name in names))
    return User.objects.get(pk=user.pk)


def of_model(model: type[Model], *rights: str) -> list[str]:
    """Return the names of rights on a model."""
    return [f"{model._meta.app_label}.{right}_{model._meta.model_name}" for right in rights]


def with_rights(make_user: MakeUser, model: type[Model], rights: str) -> User:
    """Make a user with one of the sets of rights that `RIGHTS` names."""
    user = make_user(f"{rights.replace(' ', '-')}@rights.example", operator=rights == "superuser")
    user.is_staff = rights != "not staff"
    user.save(update_fields=["is_staff"])
    user = RIGHTS[rights](user, model)
    if rights == "deactivated":
        deactivate_user(user=user, origin=ORIGIN)
    if rights == "unconfirmed":
        unconfirm_user(user=user, origin=ORIGIN)
    return User.objects.get(pk=user.pk)


def _others(user: User, model: type[Model]) -> User:
    """Grant every right on everything but this model."""
    mine = {codename.partition(".")[2] for codename in of_model(model, "view", "change", "add", "delete")}
    every = Permission.objects.exclude(codename__in=mine).values_list("content_type__app_label", "codename")
    return grant(user, *(f"{app}.{codename}" for app, codename in every))


def _giving(*rights: str) -> Callable[[User, type[Model]], User]:
    return lambda user, model: grant(user, *of_model(model, *rights))


EVERY: Final = ("view", "change", "add", "delete")
RIGHTS: Final[dict[str, Callable[[User, type[Model]], User]]] = {
    "none": _giving(),
    "view": _giving("view"),
    "change": _giving("change"),
    "view and change": _giving("view", "change"),
    "view and delete": _giving("view", "delete"),
    "view and add": _giving("view", "add"),
    "others": _others,
    "superuser": _giving(),
    "not staff": _giving(*EVERY),
    "deactivated": _giving(*EVERY),
    "unconfirmed": _giving(*EVERY),
}
HOLDING: Final = {
    "view": {"view", "view and change", "view and delete", "view and add", "superuser"},
    "act": {"view and change", "superuser"},
    "change": {"view and change", "superuser"},
    "delete": {"view and delete", "superuser"},
    "add": {"view and add", "superuser"},
}
"""Which sets of rights hold which permission."""


def registered() -> dict[str, Any]:
    """Return every admin of the operators' site by its model's label."""
    return {model._meta.label_lower: page for model, page in site._registry.items()}
