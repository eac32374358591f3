"""`keyportal keys list`, `show` and `usage`."""

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Final

import click

from keyportal_client.cli.options import json_option, key_id_argument
from keyportal_client.cli.output import coloured_state, emit, emit_json, say
from keyportal_client.cli.session import open_client
from keyportal_client.cli.table import Column, show_fields, show_table
from keyportal_client.cli.times import shown_time
from keyportal_client.shapes import Key, KeyPage, Secret, Usage

ACCEPTED: Final = "accepted"
REVOKED: Final = "revoked"
CREATE: Final = "keyportal keys create --name NAME"
STATES: Final = ("active", "paused", "expired", "revoked")
REFUSED: Final = {
    "paused": "not while the key is paused",
    "expired": "no longer: the key has expired",
    "revoked": "no longer: the key is revoked",
}
"""What is said of the secrets of a key in such a state."""


@click.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only keys in this state.")
@click.option("--environment", type=click.Choice(("live", "test")), help="Only keys of this environment.")
@click.option("--search", metavar="TEXT", help="Only keys with this text in their name or id.")
@click.option("--all", "every", is_flag=True, help="List every key, revoked ones too.")
@json_option
def list_keys(state: str | None, environment: str | None, search: str | None, every: bool, as_json: bool) -> None:
    """List your keys, newest first.

    Without --all and --state, these are the 25 newest, and those of them that are revoked are left out.
    """
    client, hidden = open_client(), 0
    if every:
        items = client.all_keys(state=state or "", environment=environment or "", search=search or "")
        page: KeyPage = {"items": list(items), "next": None}
    else:
        list_some = partial(client.list_keys, state=state or "", environment=environment or "", search=search or "")
        page, hidden = (list_some(), 0) if state else _without_revoked(list_some)
    if as_json:
        emit_json({"items": page["items"], "next": page["next"]})
    elif page["items"]:
        _show_keys(page["items"])
    elif not hidden:
        say("No key matches." if any((state, environment, search)) else f"You have no keys. Create one: {CREATE}")
    if not as_json:
        _say_what_is_left_out(page, hidden)


def _without_revoked(list_some: Callable[..., KeyPage]) -> tuple[KeyPage, int]:
    """Return the first page with a key that is not revoked, without those that are, and how many were passed over."""
    page, hidden = list_some(), 0
    while True:
        shown = [key for key in page["items"] if key["state"] != REVOKED]
        hidden += len(page["items"]) - len(shown)
        if shown or not page["next"]:
            return {"items": shown, "next": page["next"]}, hidden
        page = list_some(cursor=page["next"])


def _say_what_is_left_out(page: KeyPage, hidden: int) -> None:
    if hidden:
        are = "1 revoked key is" if hidden == 1 else f"{hidden} revoked keys are"
        say(f"{are} not shown. List revoked keys with --state revoked.")
    if page["next"]:
        say("There are more keys. List them with --all.")


@click.command("show")
@key_id_argument
@json_option
def show(key_id: str, as_json: bool) -> None:
    """Show a key, and the hints of its secrets."""
    key = open_client().key(key_id)
    if as_json:
        emit_json(key)
    else:
        show_key(key)


@click.command("usage")
@key_id_argument
@click.option(
    "--by", type=click.Choice(("hour", "day")), default="day", show_default=True, help="Count by hour or day."
)
@click.option(
    "--days",
    type=click.IntRange(1, 90),
    help="How many days, including today. By day: 30 by default. By hour: 2 by default, at most 7.",
)
@json_option
def usage(key_id: str, by: str, days: int | None, as_json: bool) -> None:
    """Show the calls of a key by outcome."""
    counted = open_client().usage(key_id, by=by, days=days)
    if as_json:
        emit_json(counted)
    elif counted["items"]:
        _show_usage(counted)
    else:
        say("No calls today." if counted["days"] == 1 else f"No calls in the last {counted['days']} days.")


def show_key(key: Key) -> None:
    """Write a key to standard output."""
    show_fields(
        [
            ("ID", key["id"]),
            ("Name", key["name"]),
            ("Environment", key["environment"]),
            ("State", _state(key)),
            ("Scopes", " ".join(key["scopes"]) or "none"),
            ("Networks", " ".join(key["networks"]) or "any"),
            ("Rate limit", key["rate_limit"] or "the portal's default"),
            ("Created", shown_time(key["created_at"])),
            ("Expires", shown_time(key["expires_at"])),
            ("Last used", shown_time(key["last_used_at"])),
        ]
    )
    if not key["secrets"]:
        return
    emit("")
    columns = (Column("SECRET"), Column("CREATED"), Column("LAST USED"), Column("WORKS"))
    rows = [
        (
            secret["hint"],
            shown_time(secret["created_at"]),
            shown_time(secret["last_used_at"]),
            _works(key, secret),
        )
        for secret in key["secrets"]
    ]
    show_table(columns, rows)


def _works(key: Key, secret: Secret) -> str:
    """Return until when a secret of a key is accepted, or why it is not."""
    refused = REFUSED.get(key["state"])
    return refused or f"until {shown_time(secret['retires_at'], absent='the key ends')}"


def calls_of(usage: Usage) -> int:
    """Return how many calls there were."""
    return sum(chain.from_iterable(calls["outcomes"].values() for calls in usage["items"]))


def _state(key: Key) -> str:
    """Return a key's state, and why it is in it."""
    if key["state"] == "paused":
        until = shown_time(key["paused_until"], absent="someone resumes it")
        return f"paused until {until}{_because(key['paused_reason'])}"
    if key["state"] == "revoked":
        return f"revoked on {shown_time(key['revoked_at'])}{_because(key['revoked_reason'])}"
    return "active, being rotated" if key["state"] == "active" and len(key["secrets"]) > 1 else key["state"]


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _show_keys(keys: list[Key]) -> None:
    columns = (
        Column("ID"),
        Column("NAME", can_be_cut=True),
        Column("STATE", style=coloured_state),
        Column("ENVIRONMENT"),
        Column("LAST USED"),
        Column("EXPIRES"),
        Column("SCOPES", can_be_cut=True),
    )
    rows = [
        (
            *(key["id"], key["name"], key["state"], key["environment"]),
            *(shown_time(key["last_used_at"]), shown_time(key["expires_at"]), " ".join(key["scopes"]) or "none"),
        )
        for key in keys
    ]
    show_table(columns, rows)


def _show_usage(counted: Usage) -> None:
    columns = (Column("TIME"), Column("ACCEPTED"), Column("REFUSED"), Column("WHY", can_be_cut=True))
    rows = []
    for calls in counted["items"]:
        refused = {outcome: count for outcome, count in calls["outcomes"].items() if outcome != ACCEPTED}
        why = ", ".join(f"{outcome} {count}" for outcome, count in refused.items())
        accepted = calls["outcomes"].get(ACCEPTED, 0)
        rows.append((shown_time(calls["at"]), str(accepted), str(sum(refused.values())), why))
    show_table(columns, rows)
