"""Each runbook of docs/operations.md, carried out as it stands there, on a started portal with two workers."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from keyportal_client import CredentialRefusedError, Verifier
from tests.databases import portal_database
from tests.keyportal.runbooks import Operator, Step, preamble, runbook, titles, unknown_commands
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.portal_user import PortalUser
from tests.waiting import wait_until

SINCE = "2020-01-01"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator of a portal whose secrets are files, as the page assumes."""
    folder: Path = tmp_path_factory.mktemp("runbooks")
    with portal_database(folder) as database_url:
        portal = Portal(folder, database_url)
        operator = Operator(portal, LEAKED="s1", SINCE=SINCE)
        operator.move_secrets_into_files()
        with portal.running():
            yield operator


@pytest.fixture(autouse=True)
def nothing_suspended(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave a portal whose runbook broke off as the next one expects it."""
    yield
    if "operator" in request.fixturenames:
        request.getfixturevalue("operator").portal.manage("newcredentials", "on")


def status_of(portal: Portal, secret: str) -> int:
    return portal.get("/api/v1/me", Authorization=f"Bearer {secret}").status


def token_of(portal: Portal, key: ClientKey) -> str:
    return OAuthClient(portal).client_token(key)


def rotate(portal: Portal, key: str) -> str:
    return portal._run(command=["rotatekey", key, "--overlap", "0"])["out"].strip()


def carry_out(operator: Operator, steps: list[Step]) -> None:
    for step in steps:
        operator.carry_out(step)


def test_the_page_has_the_runbooks_and_names_what_its_commands_use() -> None:
    assert titles() == [
        "A signing key has leaked",
        "A sealing key has leaked",
        "An index key has leaked",
        "SECRET_KEY has leaked",
        "The database or a backup has leaked",
        "A developer's key has leaked",
    ]
    for name in ("SECRETS", "PORTAL", "LEAKED", "SINCE"):
        assert f"{name}=" in preamble()
    for title in titles():
        steps = runbook(title)
        assert steps
        for step in steps:
            assert not unknown_commands(step.commands)


def test_a_leaked_signing_key(operator: Operator) -> None:
    portal = operator.portal
    portal.make_developer("signing@example.com")
    portal.shell("Scope.objects.get_or_create(name='r:r', defaults={'description': 'r'})")
    service = portal.make_key("signing@example.com", "--scope", "credentials:verify", "--restricted")[1]
    key = ClientKey(*portal.make_key("signing@example.com"))
    old = portal.get("/.well-known/jwks.json").body
    with closing(Verifier(portal.url, key=service)) as verifier:
        token = token_of(portal, key)
        assert status_of(portal, token) == 200
        verifier.verify(token)
        replace, published, made_since, resume = runbook("A signing key has leaked")
        operator.carry_out(replace)
        assert [status_of(portal, token) for _ in range(8)] == [401] * 8  # on both workers
        assert OAuthClient(portal).token({"grant_type": "client_credentials"}, client=key).status == 503
        assert status_of(portal, key.secret) == 200
        printed = operator.carry_out(published)
        assert len(json.loads(printed.splitlines()[-1])["keys"]) == 1
        assert json.loads(old)["keys"][0]["kid"] not in printed
        wait_until(lambda: is_refused(verifier, token))
    operator.names["SINCE"] = "2100-01-01"  # these keys are no one's but ours
    operator.carry_out(made_since)
    operator.names["SINCE"] = SINCE
    operator.carry_out(resume)
    assert status_of(portal, token_of(portal, key)) == 200
    assert not (operator.secrets / "signing_keys.leaked").exists()


def is_refused(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except CredentialRefusedError as error:
        return error.refusal.code == "invalid_token"
    return False


def test_a_leaked_sealing_key(operator: Operator) -> None:
    portal = operator.portal
    user = PortalUser(portal, "sealing@example.com")
    rotated, stale = (portal.make_key("sealing@example.com") for _ in range(2))
    add, swap, left, revoke, verify, resume = runbook("A sealing key has leaked")
    operator.carry_out(add)
    operator.carry_out(swap)
    ring = (operator.secrets / "KEYPORTAL_SEALING_KEYS").read_text().split(",")
    assert [entry.partition(":")[0] for entry in ring][1:] == ["s1"]
    new_secret = rotate(portal, rotated[0])
    assert rotated[0] not in portal.manage("revokeall", "--sealing-key", "s1", "--reason", "x", "--dry-run", "--json")
    operator.carry_out(left)
    operator.carry_out(revoke)
    assert [status_of(portal, secret) for secret in (new_secret, rotated[1], stale[1])] == [200, 401, 401]
    assert "Log out" not in user.get("/keys/")
    operator.carry_out(verify)
    operator.carry_out(resume)
    portal.make_key("sealing@example.com")


def test_a_leaked_index_key(operator: Operator) -> None:
    portal = operator.portal
    portal.make_developer("index@example.com")
    rotated, stale = (portal.make_key("index@example.com") for _ in range(2))
    operator.names["LEAKED"] = "i1"
    add, swap, left, revoke = runbook("An index key has leaked")
    operator.carry_out(add)
    operator.carry_out(swap)
    assert status_of(portal, stale[1]) == 200  # found by the old key, behind the new one
    new_secret = rotate(portal, rotated[0])
    operator.carry_out(left)
    operator.carry_out(revoke)
    assert [status_of(portal, secret) for secret in (new_secret, stale[1])] == [200, 401]


@pytest.mark.once
def test_a_leaked_secret_key(operator: Operator) -> None:
    portal = operator.portal
    user = PortalUser(portal, "secret-key@example.com")
    _, secret = portal.make_key("secret-key@example.com")
    assert "Log out" in user.get("/keys/")
    carry_out(operator, runbook("SECRET_KEY has leaked"))
    assert "Log out" not in user.get("/keys/")
    assert status_of(portal, secret) == 200


@pytest.mark.once
def test_a_leaked_database(operator: Operator) -> None:
    carry_out(operator, runbook("The database or a backup has leaked"))


@pytest.mark.once
def test_a_developer_s_leaked_key(operator: Operator, tmp_path: Path) -> None:
    portal = operator.portal
    portal.make_developer("leaky@example.com")
    _, secret = portal.make_key("leaky@example.com")
    operator.names["OWNER"] = "leaky@example.com"
    operator.folder = tmp_path
    (tmp_path / "leaked.txt").write_text(f'curl -H "Authorization: Bearer {secret}"')
    carry_out(operator, runbook("A developer's key has leaked"))
    assert status_of(portal, secret) == 401
    assert not (tmp_path / "leaked.txt").exists()
