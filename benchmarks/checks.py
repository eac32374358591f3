"""Rows 1 to 6 and 15: what checking a credential costs, compared with no check and with other libraries.

wrk measures a server with one worker of one thread. Each round measures every variant in turn, so that changes in the
machine's speed affect all alike.
"""

import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import each_in_turn, load, verify_script
from benchmarks.rows import Row, Table, spread
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.with_postgres import postgres_cluster

ROUNDS = int(os.environ.get("ROUNDS", "10"))
SECONDS = float(os.environ.get("SECONDS", "2"))
OWNER = "bench@example.com"
PEERS = ("drf-token", "knox", "drf-api-key", "simple-apikey", "simplejwt", "oauth-toolkit")
MAKE_PEERS = """
from datetime import timedelta
from django.utils import timezone
from rest_framework.authtoken.models import Token
from knox.models import AuthToken
from rest_framework_api_key.models import APIKey as DRFKey
from drf_simple_apikey.models import APIKey as SimpleKey
from rest_framework_simplejwt.tokens import AccessToken as SimpleJWT
from oauth2_provider.models import AccessToken
import json
user = User.objects.get(email="bench@example.com")
AccessToken.objects.create(user=user, token="t" * 40, expires=timezone.now() + timedelta(days=1), scope="read")
print(json.dumps({
    "drf-token": "Token " + Token.objects.create(user=user).key,
    "knox": "Token " + AuthToken.objects.create(user)[1],
    "drf-api-key": "Api-Key " + DRFKey.objects.create_key(name="bench")[1],
    "simple-apikey": "Api-Key " + SimpleKey.objects.create_api_key(name="bench", entity=user)[1],
    "simplejwt": "Bearer " + str(SimpleJWT.for_user(user)),
    "oauth-toolkit": "Bearer " + "t" * 40,
}))
"""
NOTE = "One worker of one thread, {rounds} rounds of {seconds:g} s a variant, in turn."
EVERY_DAY = {
    "KEYPORTAL_USAGE_FLUSH": "5",
    "KEYPORTAL_ACCESS_LIFETIME": "3600",
    "KEYPORTAL_LIMIT_SERVICE": "100000000 per minute",
}
"""The portal's own defaults, which tests shorten; a token that outlives the run; and no limit that wrk could reach."""


class Variant(NamedTuple):
    """One endpoint and credential to measure."""

    url: str
    authorization: str = ""
    script: Path | None = None


class Bench(Portal):
    """A portal with the other libraries installed, one worker of one thread. docs/scaling.md says why."""

    threads = 1

    def _whole_environment(self) -> dict[str, str]:
        return {**super()._whole_environment(), "DJANGO_SETTINGS_MODULE": "benchmarks.peers_settings"}


class Bare(Bench):
    """A bare function on the same server."""

    def server(self, workers: int) -> list[str]:
        """Return the command that starts it."""
        return [*super().server(workers), "benchmarks.bare:application"]


def measure() -> list[Table]:
    """Return the tables for both databases."""
    tables = []
    with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as folder:
        tables.append(_table("SQLite", _rates(f"sqlite:///{folder}/bench.sqlite3", Path(folder))))
    with postgres_cluster() as cluster, tempfile.TemporaryDirectory(prefix="keyportal-bench-") as folder:
        tables.append(_table("PostgreSQL", _rates(cluster.url, Path(folder))))
    return tables


def _rates(database_url: str, folder: Path) -> dict[str, list[float]]:
    """Return the rates of every variant in requests per second, one per round."""
    rates: dict[str, list[float]] = {}
    with Bench(folder, database_url, **EVERY_DAY).running(workers=1) as portal, _variants(portal, folder) as variants:
        for _ in range(ROUNDS):
            for name, variant in variants.items():
                result = load(variant.url, variant.authorization, script=variant.script, seconds=SECONDS)
                rates.setdefault(name, []).append(result.rate)
    return rates


@contextmanager
def _variants(portal: Portal, folder: Path) -> Iterator[dict[str, Variant]]:
    """Create credentials of every kind and start the servers to compare."""
    portal.make_developer(OWNER)
    secret, other = (portal.make_key(OWNER)[1] for _ in range(2))
    both = folder / "secrets"
    both.write_text(f"{secret}\n{other}\n")
    headers: dict[str, str] = json.loads(portal.shell(MAKE_PEERS))
    headers |= {"none": "", "keyportal-key": f"Bearer {secret}"}
    headers["keyportal-jwt"] = f"Bearer {OAuthClient(portal).client_token(ClientKey(*portal.make_key(OWNER)))}"
    cold, bare = _forgetful(portal), _bare(portal)
    try:
        cold.start(workers=1)
        bare.start(workers=1)
        variants = {name: Variant(f"{portal.url}/api/bench/{name}", header) for name, header in headers.items()}
        variants["forward-auth"] = Variant(f"{portal.url}/gateway/auth", headers["keyportal-key"])
        service = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted")[1]
        variants["verify"] = Variant(f"{portal.url}/api/v1/verify", f"Bearer {service}", verify_script(folder, secret))
        variants["bare"] = Variant(bare.url, headers["keyportal-key"])
        in_turn = each_in_turn(folder, both)
        variants["keyportal-key, cold"] = Variant(f"{cold.url}/api/bench/keyportal-key", script=in_turn)
        yield variants
    finally:
        cold.stop()
        bare.stop()


def _forgetful(portal: Portal) -> Bench:
    """Return a second server on the same database whose cache holds one key."""
    same = {name: value for name, value in portal.environment.items() if name != "KEYPORTAL_URL"}
    cold = Bench(portal.folder, same["DATABASE_URL"], **{**same, "KEYPORTAL_CACHE_ENTRIES": "1"})
    cold.log = portal.folder / "cold.log"
    return cold


def _bare(portal: Portal) -> Bare:
    """Return a third server with the portal's configuration but without its verdicts."""
    same = {name: value for name, value in portal.environment.items() if name != "KEYPORTAL_URL"}
    bare = Bare(portal.folder, same["DATABASE_URL"], **same)
    bare.log = portal.folder / "bare.log"
    return bare


def _table(database: str, rates: Mapping[str, list[float]]) -> Table:
    fastest = max(PEERS, key=lambda name: statistics.median(rates[name]))
    bound = statistics.median(_ratios(rates, "none", fastest))
    compared = [
        ("1", "view with a key, warm / the view without authentication", "keyportal-key", "none", "≥ 0.90"),
        ("2", f"the same / the fastest peer ({fastest})", "keyportal-key", fastest, f"≥ {0.85 * bound:.2f}"),
        ("3", "view with a JWT, warm / simplejwt", "keyportal-jwt", "simplejwt", "≥ 4 on PostgreSQL"),
        ("4", f"view with another key each time / {fastest}", "keyportal-key, cold", fastest, "≥ 1.5"),
        ("5", "forward-auth, warm / a bare function", "forward-auth", "bare", "≥ 0.75, SQLite ≥ 0.55"),
        ("6", f"forward-auth, warm / {fastest}", "forward-auth", fastest, "≥ 30 on PostgreSQL"),
        ("15", "verify, warm / forward-auth", "verify", "forward-auth", "≥ 0.65"),
    ]
    rows = [Row(row, what, spread(_ratios(rates, one, other)), reach) for row, what, one, other, reach in compared]
    note = NOTE.format(rounds=ROUNDS, seconds=SECONDS)
    note += f" A check that cost nothing would be {bound:.2f} times as fast as {fastest}: row 2 can be no more."
    return Table(database, rows, note, rates)


def _ratios(rates: Mapping[str, list[float]], name: str, against: str) -> list[float]:
    return [one / other for one, other in zip(rates[name], rates[against], strict=True)]
