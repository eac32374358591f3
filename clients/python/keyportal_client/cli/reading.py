"""`keyportal keys list`, `show`, `usage` and `events`."""

from itertools import chain
from typing import Final

import click

from keyportal_client.api import KeyFilter
from keyportal_client.cli.options import json_option, key_id_argument
from keyportal_client.cli.output import coloured_state, emit, emit_json, say
from keyportal_client.cli.session import open_client
from keyportal_client.cli.table import Column, show_fields, show_table
from keyportal_client.cli.times import shown_time
from keyportal_client.shapes import Event, Key, Usage

ACCEPTED: Final = "accepted"
STATES: Final = ("active", "paused", "expired", "revoked")


@click.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only keys in this state.")
@click.option("--environment", type=click.Choice(("live", "test")), help="Only keys of this environment.")
@click.option("--search", metavar="TEXT", help="Only keys with this text in their name or id.")
@click.option("--all", "every", is_flag=True, help="List every key, instead of the 25 newest.")
@json_option
def list_keys(state: str | None, environment: str | None, search: str | None, every: bool, as_json: bool) -> None:
    """List your keys, newest first."""
    client = open_client()
    wanted: KeyFilter = {"state": state or "", "environment": environment or "", "search": search or ""}
    if every:
        keys, more = list(client.all_keys(**wanted)), None
    else:
        page = client.list_keys(**wanted)
        keys, more = page["items"], page["next"]
    if as_json:
        emit_json({"items": keys, "next": more})
        return
    if not keys:
        say("No key matches." if any(wanted.values()) else "You have no keys. Create one: keyportal keys create")
        return
    _show_keys(keys)
    if more:
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
    "--days", type=click.IntRange(1, 90), help="How many days, today included (30; by the hour 2, at most 7)."
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
        say(f"No calls in the last {counted['days']} days.")


@click.command("events")
@key_id_argument
@click.option("--all", "every", is_flag=True, help="List the whole history, instead of the 25 newest events.")
@json_option
def events(key_id: str, every: bool, as_json: bool) -> None:
    """List what happened to a key, newest first."""
    client = open_client()
    if every:
        found, more = list(client.all_events(key_id)), None
    else:
        page = client.events(key_id)
        found, more = page["items"], page["next"]
    if as_json:
        emit_json({"items": found, "next": more})
        return
    _show_events(found)
    if more:
        say("There are more events. List them with --all.")


def show_key(key: Key) -> None:
    """Write a key to standard output."""
    show_fields(
        [
            ("Id", key["id"]),
            ("Name", key["name"]),
            ("Environment", key["environment"]),
            ("State", _state(key)),
            ("Scopes", " ".join(key["scopes"]) or "none"),
            ("Networks", " ".join(key["networks"]) or "any"),
            ("Rate limit", key["rate_limit"] or "the portal's own"),
            ("Created", shown_time(key["created_at"])),
            ("Expires", shown_time(key["expires_at"])),
            ("Last used", shown_time(key["last_used_at"])),
        ]
    )
    if not key["secrets"]:
        return
    emit("")
    columns = (Column("SECRET"), Column("CREATED"), Column("LAST USED"), Column("WORKS UNTIL"))
    rows = [
        (
            secret["hint"],
            shown_time(secret["created_at"]),
            shown_time(secret["last_used_at"]),
            shown_time(secret["retires_at"], absent="the key ends"),
        )
        for secret in key["secrets"]
    ]
    show_table(columns, rows)


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


def _show_events(found: list[Event]) -> None:
    columns = (Column("TIME"), Column("WHAT", can_be_cut=True), Column("WHO", can_be_cut=True), Column("ADDRESS"))
    rows = [
        (shown_time(event["at"]), event["title"], event["by"].removeprefix("by "), event["address"] or "")
        for event in found
    ]
    show_table(columns, rows)
