"""A foreign trigger or rule undoes what a verb does: then no answer says that it is done."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

import psycopg
import pytest

from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Answer, Portal
from tests.staleness import IN_A_ROW, ON_SQLITE, wait_until_refused

pytestmark = pytest.mark.finding("H14")

OWNER = "undone@example.com"
UNDOING = "CREATE OR REPLACE FUNCTION undoing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN {row}; END'"
TRIGGER = "CREATE TRIGGER undoing BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION undoing()"
PUTTING_BACK = "UPDATE {table} SET {what} WHERE id = NEW.id"


class Case(NamedTuple):
    """A credential, and what ends it."""

    credential: str
    end: Callable[[], Answer]


class Site:
    """A portal in whose database a test makes triggers of its own."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.oauth_client = OAuthClient(portal)
        self.url = portal.environment["DATABASE_URL"]

    def sql(self, *statements: str) -> None:
        """Run statements, a transaction each."""
        if ON_SQLITE:
            file = self.url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as live:
                for statement in statements:
                    live.execute(statement)
            return
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def status_of(self, credential: str) -> int:
        """Return the status of a verdict."""
        return self.portal.get("/gateway/auth", Authorization=f"Bearer {credential}").status

    def key(self) -> Case:
        """Return a key that its holder can revoke."""
        _, secret = self.portal.make_key(OWNER)
        return Case(secret, lambda: self.end(secret))

    def token(self) -> Case:
        """Return the token of a key."""
        token = self.oauth_client.client_token(ClientKey(*self.portal.make_key(OWNER)))
        return Case(token, lambda: self.end(token))

    def log_in(self) -> Case:
        """Return the token of a log-in, which the revocation of its refresh token ends."""
        tokens = self.oauth_client.log_in(OWNER)
        form = {"token": tokens["refresh_token"], "client_id": "portal"}
        return Case(tokens["access_token"], lambda: self.oauth_client.form("/oauth/revoke", form))

    def end(self, credential: str) -> Answer:
        """Revoke a credential as its holder."""
        return self.portal.request("DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {credential}"})

    def log_count(self, table: str) -> int:
        """Return how often the log names a change of this table that was undone."""
        return self.portal.log.read_text().count(f"integrity_violation: a change of {table} was undone")


CASES = {"apikeys_apikey": Site.key, "tokens_revokedtoken": Site.token, "tokens_tokenfamily": Site.log_in}
EVENTS = {"apikeys_apikey": "UPDATE", "tokens_revokedtoken": "INSERT", "tokens_tokenfamily": "UPDATE"}
ON_SQLITE_UNDONE_BY = {
    "apikeys_apikey": PUTTING_BACK.format(table="apikeys_apikey", what="revoked_at = NULL, seal = OLD.seal"),
    "tokens_revokedtoken": "DELETE FROM tokens_revokedtoken WHERE id = NEW.id",
    "tokens_tokenfamily": PUTTING_BACK.format(table="tokens_tokenfamily", what="ended_at = NULL, seal = OLD.seal"),
}


def trigger_on(table: str) -> list[str]:
    if ON_SQLITE:
        return [f"CREATE TRIGGER undoing AFTER {EVENTS[table]} ON {table} BEGIN {ON_SQLITE_UNDONE_BY[table]}; END"]
    row = "OLD" if EVENTS[table] == "UPDATE" else "NULL"
    return [UNDOING.format(row=row), TRIGGER.format(event=EVENTS[table], table=table)]


@pytest.fixture
def site(portal: Portal) -> Iterator[Site]:
    portal.forget_guesses()
    if portal.shell(f"print(User.objects.filter(email='{OWNER}').exists())") != "True":
        portal.make_developer(OWNER)
    yield Site(portal)
    portal.forget_guesses()


@pytest.mark.parametrize("table", CASES)
def test_an_end_that_a_trigger_undoes_is_no_success(site: Site, table: str) -> None:
    case = CASES[table](site)
    logged, events = site.log_count(table), site.portal.shell("print(Event.objects.count())")
    site.sql(*trigger_on(table))
    try:
        answer = case.end()
        assert (answer.status, site.log_count(table)) == (500, logged + 1)
        assert json.loads(answer.body).get("code", "server_error") in ("internal_error", "server_error")
        assert site.portal.shell("print(Event.objects.count())") == events  # nothing is done, nothing is told
        assert {site.status_of(case.credential) for _ in range(IN_A_ROW)} == {200}
    finally:
        site.sql("DROP TRIGGER undoing" if ON_SQLITE else f"DROP TRIGGER undoing ON {table}")
    assert case.end().status in (200, 204)
    wait_until_refused(lambda: site.status_of(case.credential))


@pytest.mark.second
@pytest.mark.parametrize("table", CASES)
def test_an_end_that_a_rule_leads_away_is_no_success(site: Site, table: str) -> None:
    case = CASES[table](site)
    site.sql(f"CREATE RULE leading_away AS ON {EVENTS[table]} TO {table} DO INSTEAD NOTHING")
    try:
        assert case.end().status == 500
    finally:
        site.sql(f"DROP RULE leading_away ON {table}")
    assert case.end().status in (200, 204)
    wait_until_refused(lambda: site.status_of(case.credential))


def is_not_called_removed(site: Site, table: str, imports: str, make: str, remove: str) -> None:
    code = f"from audit.origin import Origin\n{imports}\n"
    site.portal.shell(f"{code}{make}")
    if ON_SQLITE:
        site.sql(f"CREATE TRIGGER undoing BEFORE DELETE ON {table} BEGIN SELECT RAISE(IGNORE); END")
    else:
        site.sql(UNDOING.format(row="NULL"), TRIGGER.format(event="DELETE", table=table))
    try:
        with pytest.raises(RuntimeError, match=f"a change of {table} was undone by the database"):
            site.portal.shell(f"{code}{remove}")
    finally:
        site.sql("DROP TRIGGER undoing" if ON_SQLITE else f"DROP TRIGGER undoing ON {table}")
    assert site.portal.shell(f"{code}print({remove}, {remove})") == "True False"


def test_a_scope_that_can_not_be_removed_is_not_called_removed(site: Site) -> None:
    make, row = "Scope.objects.create(name='undone:read', description='x')", "Scope(name='undone:read')"
    remove = f"remove_scope(scope={row}, origin=Origin(actor='test'))"
    is_not_called_removed(
        site, "credentials_scope", "from credentials.scopes.services import remove_scope", make, remove
    )


def test_an_audience_that_can_not_be_removed_is_not_called_removed(site: Site) -> None:
    make, row = "Audience.objects.create(pk='aud_undone', uri='urn:x', description='x')", "Audience(pk='aud_undone')"
    remove = f"remove_audience(audience={row}, origin=Origin(actor='test'))"
    imports = "from tokens.models import Audience; from tokens.services import remove_audience"
    is_not_called_removed(site, "tokens_audience", imports, make, remove)
