"""`keyportal keys events`."""

from collections.abc import Iterator
from typing import Final

import click

from keyportal_client.cli.inert import without_secrets
from keyportal_client.cli.options import json_option, key_id_argument
from keyportal_client.cli.output import emit_json, say
from keyportal_client.cli.session import open_client
from keyportal_client.cli.table import Column, show_table
from keyportal_client.cli.times import shown_time
from keyportal_client.shapes import Event

FIELDS: Final = {"expires_at": "expiry", "rate_limit": "rate limit"}
"""What the command calls a field of a key, where its name is not the word."""


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


def _show_events(found: list[Event]) -> None:
    columns = (Column("TIME"), Column("WHAT", can_be_cut=True), Column("WHO", can_be_cut=True), Column("ADDRESS"))
    rows = [
        (shown_time(event["at"]), event["title"], event["by"].removeprefix("by "), event["address"] or "")
        for event in found
    ]
    show_table(columns, rows, [without_secrets("; ".join(_details(event))) for event in found])


def _details(event: Event) -> Iterator[str]:
    """Yield what an event's details say, in words: what changed, until when, why. Others are left out."""
    details = event["details"]
    if changed := _fields(details.get("changed")):
        yield f"changed: {changed}"
    if widened := _fields(details.get("widened")):
        yield f"allows more: {widened}"
    if event["type"] == "key_limited":
        yield f"limit: {_text(details.get('limit')) or 'the default'}"
    if event["type"] == "key_rotated":
        yield _overlap(details)
    if until := _text(details.get("until")):
        yield f"until {shown_time(until)}"
    if reason := _text(details.get("reason")):
        yield f"“{reason}”"


def _overlap(details: dict[str, object]) -> str:
    ends = _text(details.get("retires_at"))
    return f"old secret works until {shown_time(ends)}" if ends and details.get("overlap") else "no overlap"


def _fields(names: object) -> str:
    return ", ".join(FIELDS.get(str(name), str(name)) for name in names) if isinstance(names, list) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
