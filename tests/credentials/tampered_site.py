"""A portal whose database is tampered with, and what each table's changes take from a credential."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import psycopg
import pytest

from credentials.verified_cache.verdict_tables import VERDICT_TABLES
from tests.databases import portal_database
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.staleness import IN_A_ROW
from tests.waiting import wait_until

OWNER = "tampered@example.com"
CHANGES = {
    "accounts_user": "UPDATE {table} SET is_active = false WHERE id = '{user}'",
    "apikeys_apikey": "UPDATE {table} SET revoked_at = now() WHERE id = '{key}'",
    "apikeys_keysecret": "UPDATE {table} SET retires_at = now() - interval '1 day' WHERE key_id = '{key}'",
    "credentials_scope": "DELETE FROM {table} WHERE name = '{scope}'",
    "tokens_revokedtoken": (
        "INSERT INTO {table} (id, issuer, token_id, revoked_at, expires_at) "
        "VALUES (900000 + {number}, '{url}', '{token_id}', now(), now() + interval '1 day')"
    ),
    "tokens_tokenfamily": "UPDATE {table} SET ended_at = now() WHERE user_id = '{user}'",
}
"""For each watched table, what takes a credential its rights."""
TABLES = [trigger.table for trigger in VERDICT_TABLES]


class Case(NamedTuple):
    """A credential that every worker has cached, and what names it in the database."""

    credential: str
    names: dict[str, str]


class TamperedSite:
    """A portal of two workers whose database is tampered with."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.url = portal.environment["DATABASE_URL"]
        self.made = 0

    def sql(self, *statements: str) -> None:
        """Run statements in one session, one transaction each."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def case(self, table: str) -> Case:
        """Make a credential whose rights a change of this table takes away, and let every worker cache it."""
        self.made += 1
        email, scope = f"{self.made}-{OWNER}", f"tampered:read{self.made}"
        user = self.portal.make_developer(email)
        self.portal.shell(f"Scope.objects.create(name='{scope}', description='x')")
        client = ClientKey(*self.portal.make_key(email, "--scope", scope))
        credential: str = client.secret
        token_id = ""
        if table == "tokens_revokedtoken":
            credential = OAuthClient(self.portal).client_token(client)
            token_id = json.loads(OAuthClient(self.portal).me(credential).body)["id"]
        elif table == "tokens_tokenfamily":
            credential = OAuthClient(self.portal).log_in(email)["access_token"]
        names = {"user": user, "key": client.id, "scope": scope, "token_id": token_id, "url": self.portal.url}
        case = Case(credential, {**names, "table": table, "number": str(self.made)})
        assert {self.status_of(case) for _ in range(IN_A_ROW)} == {200}
        return case

    def status_of(self, case: Case) -> int:
        """Return the status of a verdict."""
        path = f"/gateway/auth?scope={case.names['scope']}"
        return self.portal.get(path, Authorization=f"Bearer {case.credential}").status

    def is_cached(self, case: Case) -> bool:
        """Return whether every worker lets it in without a query."""
        misses = self.metric("keyportal_cache_misses_total")
        assert {self.status_of(case) for _ in range(IN_A_ROW)} == {200}
        return self.metric("keyportal_cache_misses_total") == misses

    @property
    def faults(self) -> list[str]:
        """What /readyz says."""
        answer = self.portal.get("/readyz")
        faults: list[str] = json.loads(answer.body)["faults"]
        assert answer.status == (503 if faults else 200)
        return faults

    def metric(self, name: str) -> float:
        """Return a value of /metrics; -1 if no worker knows it yet."""
        lines = self.portal.get("/metrics").body.decode().splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), -1.0)

    @property
    def warnings(self) -> int:
        """How often a worker's listener has logged that it can't detect changes."""
        return self.portal.log.read_text().count(" - changes can't be detected")

    @property
    def looks(self) -> set[datetime]:
        """When workers have looked last."""
        looking = "SELECT query_start FROM pg_stat_activity WHERE query LIKE '%%WITH verdict_tables%%' AND datname = %s"
        with psycopg.connect(self.url) as connection:
            return {at for (at,) in connection.execute(looking, [connection.info.dbname])}

    def wait_for_look(self) -> None:
        """Wait until a worker looks."""
        before = self.looks
        wait_until(lambda: not self.looks <= before)

    @property
    def trusts(self) -> bool:
        """Whether every worker knows its cache to be current."""
        return (
            self.metric("keyportal_change_triggers_in_place") == 1
            and self.metric("keyportal_workers") >= 2
            and self.metric("keyportal_freshness_lease_seconds") > 0
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TamperedSite]:
    folder = tmp_path_factory.mktemp("tampered")
    opened = {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1/32", "KEYPORTAL_METRICS_DIR": str(folder / "metrics")}
    with portal_database(folder) as database_url, Portal(folder, database_url, **opened).running() as portal:
        yield TamperedSite(portal)
