"""`keyportal keys edit`, `pause`, `resume` and `revoke`."""

import sys
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta, timezone

import click

from keyportal_client.api import Client
from keyportal_client.cli.exit_status import ExitStatus, StoppedError
from keyportal_client.cli.given import Given, given, naming
from keyportal_client.cli.inert import inert
from keyportal_client.cli.options import (
    expires_option,
    json_option,
    key_id_argument,
    moment_option,
    network_option,
    scope_option,
)
from keyportal_client.cli.output import emit_json, say
from keyportal_client.cli.reading import calls_of
from keyportal_client.cli.session import open_client
from keyportal_client.cli.times import shown_time
from keyportal_client.shapes import Key, Usage
from keyportal_client.times import time_of


@click.command("edit")
@key_id_argument
@click.option("--name", help="Rename the key.")
@scope_option("Replace the key's scopes with this one. Repeat the option for more.")
@click.option("--no-scopes", is_flag=True, help="Remove all scopes.")
@click.option(
    "--add-scope", "added", multiple=True, metavar="SCOPE", help="Add this scope. Repeat the option for more."
)
@click.option(
    "--remove-scope", "removed", multiple=True, metavar="SCOPE", help="Remove this scope. Repeat the option for more."
)
@network_option("Replace the key's networks with this one. Repeat the option for more.")
@click.option("--no-networks", is_flag=True, help="Accept the key from anywhere.")
@expires_option
@json_option
def edit(
    *,
    key_id: str,
    name: str | None,
    scopes: tuple[str, ...],
    no_scopes: bool,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    networks: tuple[str, ...],
    no_networks: bool,
    expires_at: str | None,
    as_json: bool,
) -> None:
    """Change a key. What you don't name stays as it is."""
    _refuse_contradictions((scopes, no_scopes, (*added, *removed)), (networks, no_networks), (name, expires_at))
    client, version = open_client(), ""
    wanted = given("--scope", scopes) if scopes or no_scopes else None
    if added or removed:
        key, version = client.key_and_version(key_id)
        wanted = _changed(key["scopes"], added, removed)
    with naming(scopes=wanted or (), networks=given("--network", networks)):
        key = client.edit_key(
            key_id,
            name=name,
            scopes=None if wanted is None else [scope.value for scope in wanted],
            networks=networks if networks or no_networks else None,
            expires_at=expires_at,
            version=version,
        )
    _report(key, "Changed", as_json=as_json)


@click.command("pause")
@key_id_argument
@click.option("--reason", default="", help="Why. Everyone who calls with the key can read it.")
@moment_option(
    "--until", "When the pause ends: a date (its end, in UTC), or 2h from now. Without it, you resume the key."
)
@json_option
def pause(key_id: str, reason: str, until: str | None, as_json: bool) -> None:
    """Pause a key. Calls with it are refused (401) until you resume it."""
    key = open_client().pause(key_id, reason=reason, until=until)
    _report(key, f"Paused until {shown_time(key['paused_until'], absent='you resume it')}:", as_json=as_json)


@click.command("resume")
@key_id_argument
@json_option
def resume(key_id: str, as_json: bool) -> None:
    """Resume a paused key. Calls with it are accepted again."""
    _report(open_client().resume(key_id), "Resumed", as_json=as_json)


@click.command("revoke")
@key_id_argument
@click.option("--reason", default="", help="Why. The key's history keeps it.")
@click.option("--yes", is_flag=True, help="Don't ask. Needed where there is no terminal.")
@json_option
def revoke(key_id: str, reason: str, yes: bool, as_json: bool) -> None:
    """Revoke a key for good. You can't undo this. Consider “pause”, which you can.

    The portal answers without a body, so --json prints nothing.
    """
    client = open_client()
    if not yes:
        _confirm(client, key_id)
    client.revoke(key_id, reason=reason)
    say(f"Revoked {key_id}.")


def _refuse_contradictions(
    scopes: tuple[object, ...], networks: tuple[object, ...], others: tuple[str | None, ...]
) -> None:
    """Raise `click.UsageError` if options contradict each other, or if there is nothing to change."""
    if sum(map(bool, scopes)) > 1:
        raise click.UsageError("Use only one of --scope, --no-scopes, or --add-scope with --remove-scope.")
    if all(networks):
        raise click.UsageError("Use either --network or --no-networks.")
    if not any((*scopes, *networks)) and all(other is None for other in others):
        raise click.UsageError("Say what to change, with --name or --add-scope for example.")


def _changed(scopes: Iterable[str], added: Collection[str], removed: Collection[str]) -> list[Given]:
    """Return the scopes after a change, and which of them the change adds."""
    after = sorted({*scopes, *added} - set(removed))
    return [Given(scope, "--add-scope" if scope in added else "") for scope in after]


def _report(key: Key, done: str, *, as_json: bool) -> None:
    if as_json:
        emit_json(key)
    say(f"{done} {key['id']} “{inert(key['name'])}”.")


def _confirm(client: Client, key_id: str) -> None:
    """Return if the person at the terminal wants to revoke the key. Raises `StoppedError` if not."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise StoppedError("There is no terminal to ask at. To revoke the key, add --yes.", ExitStatus.USAGE)
    key, usage = client.key(key_id), client.usage(key_id, by="hour", days=2)
    calls = calls_of(_last_day(usage))
    say(f"{key_id} “{inert(key['name'])}” ({key['environment']}, {key['state']})")
    counted = "1 call" if calls == 1 else f"{calls} calls"
    say(f"{counted} in the last 24 hours. Last used: {shown_time(key['last_used_at'])}.")
    if not click.confirm("Revoke it? This can't be undone.", default=False, err=True):
        raise StoppedError("Nothing was revoked.")


def _last_day(usage: Usage) -> Usage:
    since = datetime.now(timezone.utc) - timedelta(hours=25)  # hours are counted as a whole
    items = [calls for calls in usage["items"] if time_of(calls["at"]) > since]
    return {**usage, "items": items}
