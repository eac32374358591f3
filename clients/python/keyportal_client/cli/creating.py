"""`keyportal keys create`."""

import click

from keyportal_client.api import new_idempotency_key
from keyportal_client.cli.given import given, naming
from keyportal_client.cli.inert import inert
from keyportal_client.cli.options import (
    expires_option,
    idempotency_option,
    json_option,
    network_option,
    scope_option,
    secret_file_option,
)
from keyportal_client.cli.output import say
from keyportal_client.cli.secret_place import repeatable, secret_place
from keyportal_client.cli.session import open_client
from keyportal_client.cli.times import shown_time


@click.command("create")
@click.option("--name", required=True, help="What to call the key, such as “billing server”.")
@click.option("--environment", type=click.Choice(("live", "test")), help="Live (the default) or test.")
@scope_option("Give the key this scope. Repeat the option for more; without it, the key has none.")
@network_option(
    "Accept the key from this address or network only. Repeat the option for more; without it, from anywhere."
)
@expires_option
@click.option(
    "--show-once",
    is_flag=True,
    help="Don't store the secret at the portal, so that nobody can reveal it later. Only the same command with the "
    "same --idempotency-key gets it again: until it is first used, and for 24 hours at most.",
)
@idempotency_option
@secret_file_option
@json_option
def create(
    *,
    name: str,
    environment: str | None,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    expires_at: str | None,
    show_once: bool,
    idempotency_key: str | None,
    secret_file: str | None,
    as_json: bool,
) -> None:
    """Create a key and print its secret.

    The secret is alone on standard output:

    SECRET=$(keyportal keys create --name backup)
    """
    client, once = open_client(), idempotency_key or new_idempotency_key()
    with secret_place(secret_file, as_json=as_json) as place, repeatable(once):
        with naming(scopes=given("--scope", scopes), networks=given("--network", networks)):
            key, secret = client.create_key(
                name=name,
                environment=environment,
                scopes=scopes or None,
                networks=networks or None,
                expires_at=expires_at,
                show_once=show_once or None,
                idempotency_key=once,
            )
        place.keep(secret)
        place.show(key, secret)
    expires = f"expires {shown_time(key['expires_at'])}" if key["expires_at"] else "never expires"
    say(f"Created {key['id']} “{inert(key['name'])}” ({key['environment']}, {expires}).")
