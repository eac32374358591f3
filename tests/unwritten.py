"""A portal whose database answers and keeps nothing, and the browsers and machines that use it meanwhile."""

import json
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import psycopg
from django.db import connection, transaction

from credentials.runtime.database_writes import READ_ONLY, UNWRITABLE
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Answer, Portal
from tests.portal_user import PortalUser

OWNER, OPERATOR = "unwritten@example.com", "operator@example.com"
MAKE: Final = (
    "from accounts.services import create_user; from audit.origin import Origin; origin = Origin.of_command('t'); "
    f"create_user(email='{OPERATOR}', password='correct horse battery staple', confirmed=True, operator=True, "
    "origin=origin)"
)
LIMIT: Final = 2**21
"""Bytes that a file may have: more than the server's log, less than the database's."""


class Visitor(PortalUser):
    """A user who is logged in, and sends what their pages would."""

    def __init__(self, portal: Portal, email: str, *, make: bool) -> None:
        super().__init__(portal, email, make=make)
        self.token = self.field("/keys/new/", "csrfmiddlewaretoken")
        self.form_token = self.field("/keys/new/", "form_token")
        self.cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)

    def look(self, path: str) -> Answer:
        return self.portal.get(path, Cookie=self.cookie)

    def create(self) -> Answer:
        """Send the form of a new key."""
        return self.send("/keys/new/", name="x", environment="live", expiry="never", form_token=self.form_token)

    def send(self, path: str, **fields: str) -> Answer:
        body = urlencode({"csrfmiddlewaretoken": self.token, **fields}).encode()
        return self.portal.request("POST", path, headers={"Cookie": self.cookie}, body=body)


class Site(NamedTuple):
    """A portal, its users, and their credentials."""

    portal: Portal
    developer: Visitor
    operator: Visitor
    client: ClientKey
    key: str
    pair: dict[str, Any]

    def pages(self) -> dict[str, Callable[[], Answer]]:
        """Return what a user who is logged in does, and a stranger who sends a form."""
        stranger = {"Cookie": f"csrftoken={self.csrf}"}

        def sends(path: str, **fields: str) -> Answer:
            body = urlencode({"csrfmiddlewaretoken": self.developer.token, **fields}).encode()
            return self.portal.request("POST", path, headers=stranger, body=body)

        looks = ("/", "/keys/", "/keys/new/", "/account/", "/accounts/sessions/", "/nothing/", f"/keys/{self.key}/")
        admin = ("/admin/", "/admin/apikeys/apikey/", "/admin/credentials/scope/add/")
        return {
            **{f"look at {path}": lambda path=path: self.developer.look(path) for path in looks},  # type: ignore[misc]
            **{f"look at {path}": lambda path=path: self.operator.look(path) for path in admin},  # type: ignore[misc]
            "create": self.developer.create,
            "revoke": lambda: self.developer.send(f"/keys/{self.key}/revoke/"),
            "theme": lambda: self.developer.send("/theme/", theme="dark"),
            "add a scope": lambda: self.operator.send("/admin/credentials/scope/add/", name="a:b", description="x"),
            "forbidden": lambda: self.developer.look("/admin/"),
            "no token": lambda: self.portal.request("POST", "/keys/new/", headers={"Cookie": self.developer.cookie}),
            "log in": lambda: sends("/accounts/login/", login=OWNER, password="x"),
            "sign up": lambda: sends("/accounts/signup/", email="new@example.com", password1="a long password of mine"),
            "reset": lambda: sends("/accounts/password/reset/", email=OWNER),
            "log out": lambda: self.developer.send("/accounts/logout/"),
        }

    def machines(self) -> dict[str, Callable[[], Answer]]:
        """Return what changes something and has no page."""
        oauth_client, refresh = OAuthClient(self.portal), self.pair["refresh_token"]
        bearer = {"Authorization": f"Bearer {self.pair['access_token']}"}
        grant = {"grant_type": "client_credentials"}
        return {
            "password": lambda: oauth_client.password(OWNER),
            "wrong password": lambda: oauth_client.password(OWNER, "wrong"),
            "token": lambda: oauth_client.token(grant, client=self.client),
            "wrong secret": lambda: oauth_client.token(grant, client=ClientKey(self.client.id, "x")),
            "refresh": lambda: oauth_client.refresh(refresh),
            "refresh by the API": lambda: oauth_client.post("/api/v1/tokens/refresh", {"refresh_token": refresh}),
            "revoke": lambda: oauth_client.form("/oauth/revoke", {"token": refresh, "client_id": "portal"}),
            "end": lambda: self.portal.request("DELETE", "/api/v1/tokens", headers=bearer),
        }

    def verdicts(self) -> dict[str, Callable[[], Answer]]:
        """Return what only reads."""
        oauth_client, token = OAuthClient(self.portal), self.pair["access_token"]
        bearer = {"Authorization": f"Bearer {self.client.secret}"}
        return {
            "me": lambda: oauth_client.me(self.client.secret),
            "me by a token": lambda: oauth_client.me(token),
            "gateway": lambda: self.portal.get("/gateway/auth", **bearer),
            "verify": lambda: oauth_client.post("/api/v1/verify", {"credential": token}, **bearer),
            "introspect": lambda: oauth_client.form("/oauth/introspect", {"token": token}, client=self.client),
            "log-in page": lambda: self.portal.get("/accounts/login/"),
            "ready": lambda: self.portal.get("/readyz"),
        }

    @property
    def csrf(self) -> str:
        return next(cookie.value or "" for cookie in self.developer.cookies if cookie.name == "csrftoken")

    def warnings(self) -> list[str]:
        """Return what every worker warns of."""
        answers = [json.loads(self.portal.get("/readyz").body) for _ in range(8)]
        assert {(one["status"], *one["faults"]) for one in answers} == {("ready",)}
        return sorted({"".join(one.get("warnings", [])) for one in answers})

    def takes_writes(self) -> float:
        """Return the metric."""
        metrics = self.portal.get("/metrics").body.decode()
        return float(metrics.partition("\nkeyportal_database_takes_writes ")[2].split()[0])


@contextmanager
def no_writes(portal: Portal) -> Iterator[str]:
    """Let the database of a running portal keep nothing more; yield why that is."""
    if portal.is_on_sqlite:
        with limited_files(portal):
            yield UNWRITABLE
    else:
        with read_only(portal.environment["DATABASE_URL"]):
            yield READ_ONLY


@contextmanager
def limited_files(portal: Portal) -> Iterator[None]:
    """Let the workers write no file beyond a length that SQLite's log has already."""
    file = portal.environment["DATABASE_URL"].removeprefix("sqlite:///")
    with ExitStack() as stack:
        reader, writer = (
            stack.enter_context(closing(sqlite3.connect(file, isolation_level=None, timeout=30))) for _ in range(2)
        )
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM django_migrations").fetchone()  # the log begins anew for nobody meanwhile
        writer.execute("CREATE TABLE ballast (blob)")
        writer.execute("INSERT INTO ballast VALUES (zeroblob(?))", [2 * LIMIT])
        assert portal.process is not None
        children = Path(f"/proc/{portal.process.pid}/task/{portal.process.pid}/children").read_text().split()
        workers = [int(pid) for pid in children]
        for pid in workers:
            stack.callback(resource.prlimit, pid, resource.RLIMIT_FSIZE, resource.prlimit(pid, resource.RLIMIT_FSIZE))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))
        yield


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Make a database of PostgreSQL answer as a standby does."""
    alter = "ALTER DATABASE {} {} default_transaction_read_only {}"
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as admin:
        name = psycopg.sql.Identifier(admin.info.dbname).as_string(admin)
        admin.execute(alter.format(name, "SET", "= on"))
        admin.execute(ended + "pg_backend_pid()")
        try:
            yield
        finally:
            admin.execute(alter.format(name, "RESET", ""))
            admin.execute(ended + "pg_backend_pid()")


@contextmanager
def nothing_is_kept() -> Iterator[None]:
    """Let this process's own connection refuse writes, inside the transaction of a test."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = ON")
            try:
                yield
            finally:
                cursor.execute("PRAGMA query_only = OFF")
        return
    before = transaction.savepoint()
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    try:
        yield
    finally:
        transaction.savepoint_rollback(before)  # which takes that back, too
