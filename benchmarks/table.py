"""What the check of a credential costs, beside no check at all and beside other libraries: `make bench`.

wrk against Granian with one worker, on SQLite and on PostgreSQL; each round asks every variant in turn, so that the
machine's moods fall on all alike. Medians with their spread; only ratios mean anything. Writes results.md and .json.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import django

from tests.portal import ROOT, Portal
from tests.speaker import Client, Speaker
from tests.with_postgres import postgres_cluster

ROUNDS = int(os.environ.get("ROUNDS", "10"))
SECONDS = int(os.environ.get("SECONDS", "2"))
RESULTS = ROOT / "benchmarks"
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


class Bench(Portal):
    """A portal with its peers beside it, one worker."""

    def _whole_environment(self) -> dict[str, str]:
        return {**super()._whole_environment(), "DJANGO_SETTINGS_MODULE": "benchmarks.peers_settings"}


def rate(url: str, authorization: str, *, script: Path | None = None) -> float:
    """Give the requests a second that wrk counts over 8 connections. Raises RuntimeError if one was not 200."""
    head = ["-H", f"Authorization: {authorization}"] if authorization else []
    command = ["wrk", "-t1", "-c8", f"-d{SECONDS}s", *head, *(["-s", str(script)] if script else []), url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if found is None or "Non-2xx" in printed:
        raise RuntimeError(printed)
    return float(found[1])


def measured(database_url: str, folder: Path) -> Mapping[str, list[float]]:
    """Give the rates of every variant, a figure a round."""
    with Bench(folder, database_url, KEYPORTAL_ACCESS_LIFETIME="3600").running(workers=1) as portal:
        portal.make_developer("bench@example.com")
        secret, other = (portal.make_key("bench@example.com")[1] for _ in range(2))
        issued = Speaker(portal).client_token(Client(*portal.make_key("bench@example.com")))
        headers: dict[str, str] = json.loads(portal.shell(MAKE_PEERS))
        headers |= {"none": "", "keyportal-key": f"Bearer {secret}"}
        headers["keyportal-jwt"] = f"Bearer {issued}"
        cold = cold_portal(folder, portal, database_url)
        bare = start_bare(folder)
        script = alternating(folder, secret, other)
        rates: dict[str, list[float]] = {}
        try:
            for _ in range(ROUNDS):
                for name, header in headers.items():
                    rates.setdefault(name, []).append(rate(f"{portal.url}/api/bench/{name}", header))
                forward = rate(f"{portal.url}/gateway/auth", headers["keyportal-key"])
                rates.setdefault("forward-auth", []).append(forward)
                rates.setdefault("bare WSGI", []).append(rate(bare.url, headers["keyportal-key"]))
                url = f"{cold.url}/api/bench/keyportal-key"
                rates.setdefault("keyportal-key, cold", []).append(rate(url, "", script=script))
        finally:
            cold.stop()
            bare.stop()
        return rates


def cold_portal(folder: Path, portal: Portal, database_url: str) -> Bench:
    """Start a second server on the same database that remembers one key at a time."""
    same = {name: value for name, value in portal.environment.items() if name != "KEYPORTAL_URL"}
    cold = Bench(folder, database_url, **{**same, "KEYPORTAL_CACHE_ENTRIES": "1"})
    cold.log = folder / "cold.log"
    cold.start(workers=1)
    return cold


class Bare(Portal):
    """The bare WSGI function on the same server."""

    def spawn(self, workers: int = 1) -> subprocess.Popen[bytes]:
        """Start it."""
        granian = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--no-ws", "--http", "1"]
        serving = ["--host", "127.0.0.1", "--port", str(self.port), "--blocking-threads", "8"]
        self.process = subprocess.Popen([*granian, *serving, "benchmarks.bare:application"], cwd=ROOT)
        return self.process


def start_bare(folder: Path) -> Bare:
    """Start the bare function and wait until it answers."""
    bare = Bare(folder, "")
    bare.start()
    return bare


def alternating(folder: Path, *secrets: str) -> Path:
    """Write wrk's script that sends another key with every request."""
    keys = ", ".join(f'"Bearer {secret}"' for secret in secrets)
    script = folder / "alternate.lua"
    script.write_text(
        f"local keys = {{{keys}}}\nlocal n = 0\n"
        "request = function()\n  n = n + 1\n"
        '  return wrk.format("GET", nil, {["Authorization"] = keys[n % #keys + 1]})\nend\n'
    )
    return script


def ratio(rates: Mapping[str, list[float]], name: str, against: str) -> str:
    """Give the median ratio of the rounds, with its spread."""
    ratios = sorted(one / other for one, other in zip(rates[name], rates[against], strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def lines(database: str, rates: Mapping[str, list[float]]) -> list[str]:
    """Give the part of the page about one database."""
    medians = {name: statistics.median(figures) for name, figures in rates.items()}
    fastest = max(PEERS, key=lambda name: medians[name])
    compared = [
        ("1", "view with a key, warm / the view without authentication", "keyportal-key", "none", "≥ 0.90"),
        ("2", f"the same / the fastest peer ({fastest})", "keyportal-key", fastest, "≥ 4, SQLite ≥ 2.7"),
        ("3", "view with a JWT, warm / simplejwt", "keyportal-jwt", "simplejwt", "≥ 4 on PostgreSQL"),
        ("4", f"view with another key each time / {fastest}", "keyportal-key, cold", fastest, "≥ 1.2"),
        ("5", "forward-auth, warm / a bare WSGI function", "forward-auth", "bare WSGI", "≥ 0.7"),
        ("6", f"forward-auth, warm / {fastest}", "forward-auth", fastest, "≥ 30 on PostgreSQL"),
    ]
    page = [f"\n## {database}\n", "| row | what | ratio (spread) | reach |", "|---|---|---|---|"]
    page += [f"| {row} | {what} | **{ratio(rates, a, b)}** | {reach} |" for row, what, a, b, reach in compared]
    page += ["\n| variant | requests/s, median |", "|---|---|"]
    page += [f"| {name} | {median:,.0f} |" for name, median in sorted(medians.items(), key=lambda item: -item[1])]
    return page


def main() -> None:
    """Measure on both databases and write the tables."""
    results: dict[str, Mapping[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="keyportal-bench-") as folder:
        results["SQLite"] = measured(f"sqlite:///{folder}/bench.sqlite3", Path(folder))
    with postgres_cluster() as cluster, tempfile.TemporaryDirectory(prefix="keyportal-bench-") as folder:
        results["PostgreSQL"] = measured(cluster.url, Path(folder))
    versions = f"Python {platform.python_version()}, Django {django.__version__}"
    page = ["# What the check of a credential costs\n"]
    page.append(f"{versions}, {os.cpu_count()} cores, one worker, {ROUNDS} rounds of {SECONDS} s a variant, in turn.")
    for database, rates in results.items():
        page += lines(database, rates)
    (RESULTS / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "results.md").write_text("\n".join(page) + "\n")
    print((RESULTS / "results.md").read_text())  # noqa: T201  # this is what the command is for


if __name__ == "__main__":
    main()
