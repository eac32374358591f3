"""The command `keyportal` and what it can do."""

import click

from keyportal_client import __version__
from keyportal_client.cli import changing, creating, environment, history, log_ins, reading, rotating
from keyportal_client.cli.options import json_option
from keyportal_client.cli.output import emit_json
from keyportal_client.cli.session import logged_in_as, open_client
from keyportal_client.cli.table import Column, show_fields, show_table
from keyportal_client.cli.times import shown_time
from keyportal_client.shapes import Me

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    context_settings=SETTINGS,
    epilog="Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 not logged in, 4 portal unreachable, "
    "5 the command of rotate --exec failed, 130 interrupted.",
)
@click.version_option(__version__, "-V", "--version", message="keyportal %(version)s")
def keyportal() -> None:
    """Manage your API keys from the command line.

    Results go to standard output, everything else to standard error. In scripts, set KEYPORTAL_PORTAL and KEYPORTAL_KEY
    instead of logging in.
    """


@keyportal.group("keys")
def keys() -> None:
    """Create, list, rotate, pause and revoke keys."""


@keyportal.command("whoami")
@json_option
def whoami(as_json: bool) -> None:
    """Show which credential you use, and what it may do."""
    client = open_client()
    me = client.me()
    if as_json:
        emit_json(me)
        return
    show_fields(
        [
            ("Portal", str(client.portal)),
            (
                "Logged in",
                f"with the key “{me['name']}”, {me['id']}" if me["kind"] == "api_key" else f"as {logged_in_as()}",
            ),
            ("Owner", me["owner"]),
            ("Environment", me["environment"]),
            ("Scopes", " ".join(me["scopes"]) or "none"),
            _end_of(me),
        ]
    )


def _end_of(me: Me) -> tuple[str, str]:
    """Return until when the credential is good. An access token ends soon, which is not the end of its log-in."""
    if me["kind"] == "api_key" or environment.key():
        return "Expires", shown_time(me["expires_at"])
    return "Access token", f"until {shown_time(me['expires_at'])}, then renewed automatically"


@keyportal.command("scopes")
@json_option
def scopes(as_json: bool) -> None:
    """List the scopes that you can give a key."""
    catalogue = open_client().scopes()
    if as_json:
        emit_json(catalogue)
        return
    columns = (Column("SCOPE"), Column("DESCRIPTION", can_be_cut=True))
    show_table(columns, [(scope["name"], scope["description"]) for scope in catalogue["items"]])


for command in (log_ins.login, log_ins.logout):
    keyportal.add_command(command)
for command in (
    *(reading.list_keys, reading.show, creating.create, changing.edit, rotating.rotate, rotating.end_overlap),
    *(changing.pause, changing.resume, changing.revoke, reading.usage, history.events),
):
    keys.add_command(command)
