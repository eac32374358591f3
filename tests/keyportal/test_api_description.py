"""The description of the API: it is complete, true at the started server, and a client is made from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from keyportal.api_reference.description import description, groups
from keyportal.errors.codes import CODES
from tests.accounts.mailbox import get
from tests.api_description.write import FILE, render
from tests.oauth_client import basic
from tests.portal import ROOT, Portal
from tests.portal_user import PASSWORD
from tests.waiting import DEADLINE

pytestmark = pytest.mark.once
TOOLS = Path(sys.executable).parent


def access_token(portal: Portal, email: str) -> str:
    """Return a token of a log-in that manages keys: unlike a key, it can't be paused by what it calls."""
    portal.forget_guesses()
    headers = {"Authorization": basic(email, PASSWORD), "Content-Type": "application/json"}
    answer = portal.request("POST", "/api/v1/tokens", headers=headers, body=b'{"scope": "keys:read keys:write"}')
    token: str = json.loads(answer.body)["access_token"]
    return token


def operations() -> list[tuple[str, str]]:
    return [(method, path) for path, found in description()["paths"].items() for method in found]


def test_the_description_is_what_the_views_say() -> None:
    assert FILE.read_text() == render()


def test_every_address_of_the_api_is_described() -> None:
    resolver = get_resolver()
    names = [name for name in resolver.reverse_dict if isinstance(name, str) and name.startswith("api_")]
    there = {
        reverse(name, args=["{key_id}"] if name.startswith("api_key_") or name == "api_key" else []) for name in names
    }
    described = {path.replace("{", "%7B").replace("}", "%7D") for _, path in operations()}
    assert there == described
    assert len(operations()) == 19


def test_everything_that_can_be_sent_says_what_it_is() -> None:
    operations = [operation for group in groups() for operation in group.operations]
    sent = [member for operation in operations for member in (*operation.parameters, *operation.body)]
    assert len(sent) > 40
    assert [member.name for member in sent if not member.about] == []


def test_every_code_that_is_named_has_a_page() -> None:
    named = {error.code for group in groups() for operation in group.operations for error in operation.errors}
    assert named <= set(CODES)
    assert {"rotating", "key_ended", "idempotency_mismatch", "changed_meanwhile", "limit_reached"} <= named


@pytest.mark.django_db
def test_the_description_is_public_and_names_the_portal(client: Client) -> None:
    answer = get(client, "/api/v1/openapi.json")
    assert answer.status_code == 200
    described = answer.json()
    assert (described["openapi"], described["servers"]) == ("3.1.1", [{"url": "https://portal.test"}])


@pytest.mark.django_db
def test_the_reference_has_a_section_for_each_operation(client: Client) -> None:
    page = get(client, "/docs/").content.decode()
    for group in groups():
        for operation in group.operations:
            assert f'id="{operation.id}"' in page
            assert operation.path in page
    assert "data-try" not in page
    assert "Log in" in page


@pytest.mark.security("Z-10")
def test_the_started_server_answers_as_described(portal: Portal, tmp_path: Path) -> None:
    """Every operation gets valid, invalid and odd requests; statuses, types, members and headers are as described."""
    portal.make_developer("described@example.com")
    portal.make_key("described@example.com")
    token = access_token(portal, "described@example.com")
    ran = subprocess.run(
        [
            *(TOOLS / "st", "--config-file", ROOT / "tests/api_description/schemathesis.toml", "--no-color", "run"),
            *(f"{portal.url}/api/v1/openapi.json", "--header", f"Authorization: Bearer {token}"),
            *("--max-examples", "4", "--exclude-operation-id", "end_credential"),
            *("--generation-database", "none", "--report-dir", tmp_path, "--seed", "7"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert portal.get("/api/v1/me", Authorization=f"Bearer {token}").status == 200


def test_a_client_that_is_made_from_the_description_type_checks(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps({**description(), "servers": [{"url": "https://portal.test"}]}))
    for tool, *arguments in (
        ("openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none", "--output-path", "made"),
        ("mypy", "--strict", "--cache-dir", "cache", "made"),
    ):
        ran = subprocess.run([TOOLS / tool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "no issues found" in ran.stdout
