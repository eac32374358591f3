"""The files of the container say what the code says. Whether they work, the drill shows: tests/drills/."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import yaml

from keyportal.first_secrets.fresh import FRESH
from keyportal.options import OPTIONS
from tests.portal import ROOT, Portal
from tests.waiting import DEADLINE
from tests.with_postgres import Cluster

pytestmark = pytest.mark.once

CONTAINER: Final = ROOT / "deploy/container"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((CONTAINER / "compose.yaml").read_text())
SERVICES: Final[dict[str, Any]] = COMPOSE["services"]
SETTINGS: Final = {name for option in OPTIONS for name in (option.name, f"{option.name}_FILE")}
OF_CADDY: Final = set(re.findall(r"\{\$(\w+)", (ROOT / "deploy/caddy/Portal.Caddyfile").read_text()))
ENTRYPOINT: Final = (CONTAINER / "entrypoint").read_text()
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def pins(file: str) -> dict[str, str]:
    """Return the versions of a requirements file by the packages' names, with extras."""
    return dict(re.findall(r"^([\w\[\]-]+)==([^\s\\]+)", (ROOT / file).read_text(), re.MULTILINE))


def test_the_hashed_requirements_are_the_pinned_ones() -> None:
    assert pins("requirements-hashed.txt") == pins("requirements.txt")


def test_every_hashed_requirement_has_a_hash() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements-hashed.txt").read_text())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries if not entry.startswith("#"))


def test_the_image_gets_what_runs_and_nothing_else() -> None:
    copied = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "examples"}
    others = {"static", "templates", "manage.py", "requirements-hashed.txt", "LICENSE"}
    assert copied == packages | others | {"deploy/container/entrypoint", "deploy/health-check"}
    assert all((ROOT / path).exists() for path in copied)


def test_the_image_runs_as_a_user_without_rights() -> None:
    text = (CONTAINER / "Containerfile").read_text()
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "--require-hashes" in text
    assert set(re.findall(r"\b(KEYPORTAL_\w+)=", text)) <= SETTINGS


def test_the_entry_point_knows_every_first_secret() -> None:
    subprocess.run(["sh", "-n", CONTAINER / "entrypoint"], check=True, timeout=DEADLINE)
    (listed,) = re.findall(r"^for name in (.+); do$", ENTRYPOINT, re.MULTILINE)
    assert listed.split() == list(FRESH)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "there are no secrets: mount a volume at /var/lib/keyportal"),
        (
            {"SECRET_KEY_FILE": "/x"},
            "some secrets are given, and these are missing: KEYPORTAL_SEALING_KEYS KEYPORTAL_IN",
        ),
    ],
    ids=["no secret", "one secret"],
)
@pytest.mark.parametrize("command", [[], ["serve"], ["migrate"], ["manage", "check"]], ids=" ".join)
def test_nothing_starts_without_secrets_or_a_volume_for_them(
    command: list[str], given: dict[str, str], sentence: str
) -> None:
    refused = run_entrypoint(*command, **given)
    assert (refused.returncode, refused.stdout) == (78, "")
    assert refused.stderr.startswith(f"keyportal: {sentence}")
    assert refused.stderr.count("\n") == 1


def test_an_unknown_argument_is_refused() -> None:
    assert run_entrypoint("bash").stderr == (
        "keyportal: what it starts is serve, migrate, manage or secrets, not what was given.\n"
    )


def run_entrypoint(*command: str, **given: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [CONTAINER / "entrypoint", *command],
        env={"PATH": "/usr/bin:/bin", **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


@every_service
def test_a_service_is_given_settings_that_are_ones(service: dict[str, Any]) -> None:
    known = SETTINGS | OF_CADDY | {"POSTGRES_PASSWORD_FILE"}
    assert set(service.get("environment", {})) <= known


@every_service
def test_a_service_has_no_rights_and_a_read_only_root(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) in ([], ["NET_BIND_SERVICE"])


def test_caddy_alone_can_be_reached_and_only_through_it_the_portal() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["caddy"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    networks = {name: set(service.get("networks", [])) for name, service in SERVICES.items()}
    assert {name for name, joined in networks.items() if "outside" in joined} == {"caddy", "portal"}
    assert networks["caddy"] == {"outside"}
    (outside,) = COMPOSE["networks"]["outside"]["ipam"]["config"]
    assert outside["subnet"] == SERVICES["portal"]["environment"]["KEYPORTAL_TRUSTED_PROXIES"]


@every_service
def test_a_service_restarts_and_says_how_it_is_or_runs_once(service: dict[str, Any]) -> None:
    assert (service["restart"], "healthcheck" in service) in (("unless-stopped", True), ("no", False))


@every_service
def test_an_image_is_of_one_version(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"localhost/keyportal:latest|docker\.io/[a-z/]+:\d+\.\d+[\w.-]*", service["image"])


@every_service
def test_what_a_service_mounts_is_there(service: dict[str, Any]) -> None:
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        assert source in COMPOSE["volumes"] or (CONTAINER / source).is_file(), source


def test_passwords_are_mounted_where_they_are_needed_and_nowhere_else() -> None:
    def users(volume: str) -> set[str]:
        return {
            name
            for name, service in SERVICES.items()
            if any(mount.startswith(f"{volume}:") for mount in service.get("volumes", []))
        }

    assert users("portal") == {"secrets", "migrate", "portal"}
    assert users("database-passwords") == {"secrets", "database"}
    assert users("valkey-passwords") == {"secrets", "valkey"}


def test_no_password_is_written_down() -> None:
    """Whoever leaves a default in a file that others copy has given it to everybody."""
    assert not re.search(r"PASSWORD: |:-[^}]*(?:pass|secret)", (CONTAINER / "compose.yaml").read_text(), re.IGNORECASE)


@pytest.mark.parametrize("name", ["secrets", "migrate"])
def test_what_runs_once_is_an_argument_of_the_entry_point(name: str) -> None:
    assert SERVICES[name]["command"] == [name]
    assert re.search(rf"^  {name}\)", ENTRYPOINT, re.MULTILINE)


@pytest.mark.postgresql
def test_the_role_of_the_portal_owns_its_database_and_that_is_enough_to_migrate(
    cluster: Cluster, tmp_path: Path
) -> None:
    server = cluster.url.removesuffix("/keyportal").partition("@")[2]
    with psycopg.connect(f"{cluster.url.removesuffix('/keyportal')}/postgres", autocommit=True) as connection:
        connection.execute("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'of-the-test'")
    superuser = f"postgres://postgres:of-the-test@{server}/postgres"
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("DROP DATABASE keyportal")
        connection.execute("ALTER ROLE keyportal RENAME TO tests")  # the cluster's own superuser
    (tmp_path / "password").write_text("made-by-the_test\n")
    host, port = server.split(":")
    found = {"PGHOST": host, "PGPORT": port, "PGPASSWORD": "of-the-test", "PASSWORDS": str(tmp_path)}
    subprocess.run([CONTAINER / "role.sh"], env=os.environ | found, check=True, timeout=DEADLINE)

    portal = Portal(tmp_path, f"postgres://keyportal:made-by-the_test@{server}/keyportal")
    portal.command("migrate", "--verbosity=0")
    portal.make_developer("role@example.com")
    with psycopg.connect(portal.environment["DATABASE_URL"]) as connection:
        rights = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles"
        assert connection.execute(f"{rights} WHERE rolname = current_user").fetchone() == (False,) * 5
    portal.stop()
