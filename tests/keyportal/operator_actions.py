"""Every action of the operators' site and what it takes; a new one fails the tests until it stands here."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.db.models import Model

from accounts.services import deactivate_user, unconfirm_user
from apikeys.services import pause
from tests.conftest import ORIGIN
from tests.keyportal.rights import registered


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
    "apikeys.apikey.pause_keys": Effect("act", {"reason": "abuse"}),
    "apikeys.apikey.resume_keys": Effect("act", {"confirmed": "on"}),
    "apikeys.apikey.revoke_keys": Effect("act", {"reason": "leaked"}),
    "apikeys.apikey.limit_keys": Effect("act", {"limit": "7/minute"}),
    "tokens.tokenfamily.end": Effect("act"),
    "credentials.scope.delete_selected": Effect("delete", {"post": "yes"}),
    "tokens.audience.delete_selected": Effect("delete", {"post": "yes"}),
}
NEVER: Final = Effect("nobody", {"post": "yes"})
"""What no operator may do, superusers included: deleting what the trail and the verbs depend on."""
PAGES_OF_MODELS: Final = {"keyportal.taskrun.doctor", "tokens.tokenfamily.find", "tokens.tokenfamily.find_end"}
DJANGOS_OWN: Final = {"changelist", "add", "history", "delete", "change"}
EVERY_ACTION: Final = sorted(
    f"{label}.{name}" for label, page in registered().items() for _, name, _ in page._get_base_actions()
)


def prepare(target: Model, name: str) -> None:
    """Bring a row into the state in which the action changes it."""
    if name == "accounts.user.confirm":
        unconfirm_user(user=target, origin=ORIGIN)  # type: ignore[arg-type]  # it is a user
    if name == "apikeys.apikey.resume_keys":
        pause(key=target, origin=ORIGIN)  # type: ignore[arg-type]  # it is a key
    if name == "accounts.user.reactivate":
        deactivate_user(user=target, origin=ORIGIN)  # type: ignore[arg-type]  # it is a user


def list_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def forms_of(target: Model, action: str, effect: Effect) -> list[dict[str, Any]]:
    """Return the form of the list, the one that confirms, and both as no page sends them."""
    chosen = {"action": action, "_selected_action": [target.pk]}
    everything = {"action": action, "select_across": "1", "index": "0", "_selected_action": ["x"], **effect.fields}
    second = {"action": ["", action], "index": "1", "_selected_action": [target.pk], **effect.fields}
    return [chosen, {**chosen, **effect.fields}, {**chosen, "index": "0", **effect.fields}, everything, second]
