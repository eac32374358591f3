"""Services in FastAPI, Flask, REST framework and behind nginx, and who calls them: each installed from the wheel."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from tests.clients.installed import build_wheel
from tests.databases import portal_database
from tests.edges import has_lua
from tests.examples.services import CONSUMER, SERVICES, ask, command_of, make_environment, serving, text_of
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.once
OWNER = "developer@example.com"
NAMES = [
    pytest.param(name, marks=[pytest.mark.edge] if service.is_behind_nginx else [])
    for name, service in SERVICES.items()
]


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal of the file's own, which is stopped in between."""
    folder = tmp_path_factory.mktemp("portal-of-services")
    with portal_database(folder) as database_url, Portal(folder, database_url).running() as portal:
        portal.make_developer(OWNER)
        portal.shell("Scope.objects.get_or_create(name='reports:read', defaults={'description': 'Read reports'})")
        yield portal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def services(portal: Portal, wheel: Path, folder: Path) -> Iterator[dict[str, int]]:
    """The port of each service, by its name."""
    _, key = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted", name="reports service")
    with ExitStack() as stack:
        ports = {}
        for name, service in SERVICES.items():
            if service.is_behind_nginx and not has_lua():
                continue  # what needs it is skipped, and listed
            commands = make_environment(folder / name, wheel, service)
            ports[name] = stack.enter_context(serving(service, commands, portal=portal.url, key=key))
        yield ports


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    return build_wheel(folder)


@pytest.fixture(scope="module")
def consume(wheel: Path, folder: Path) -> Callable[..., Popen[str]]:
    """Start the program that calls a service."""
    commands = make_environment(folder / "consumer", wheel, CONSUMER)

    def start(port: int, secret: str) -> Popen[str]:
        environment = {"REPORTS_URL": f"http://127.0.0.1:{port}", "REPORTS_KEY": secret}
        return Popen(command_of(CONSUMER, commands), env=environment, stdout=PIPE, stderr=PIPE, text=True)

    return start


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_protected_by_few_lines(name: str) -> None:
    lines = text_of(SERVICES[name]).rpartition('"""\n\nfrom ')[2].splitlines()
    assert 0 < len([line for line in lines if "eyportal" in line.partition("#")[0]]) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_a_key_with_the_scope_gets_in_and_nobody_else(portal: Portal, services: dict[str, int], name: str) -> None:
    reader = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read"))
    nobody = ClientKey(*portal.make_key(OWNER))
    good = ask(services[name], reader.secret)
    assert (good.status, good.body["reports"]) == (200, ["first", "second"])
    assert ask(services[name], OAuthClient(portal).client_token(reader)).body["owner"] == good.body["owner"]
    refused = ask(services[name], nobody.secret)
    assert (refused.status, refused.body["code"]) == (403, "insufficient_scope")
    assert 'scope="reports:read"' in refused.headers["www-authenticate"]
    missing, garbage = ask(services[name]), ask(services[name], "garbage")
    assert (missing.status, missing.body["code"]) == (401, "missing_credential")
    assert (garbage.status, garbage.body["code"]) == (401, "invalid_token")
    assert {each.headers["content-type"] for each in (refused, missing, garbage)} == {"application/problem+json"}


def test_a_revoked_key_is_refused_by_all_of_them(portal: Portal, services: dict[str, int]) -> None:
    reader = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read"))
    for port in services.values():
        wait_until(lambda: ask(port, reader.secret).status == 200)  # noqa: B023  # called before the next one
    portal.revoke_key(reader.id, "left in a log")
    for port in services.values():
        wait_until(lambda: ask(port, reader.secret).status == 401)  # noqa: B023
        assert ask(port, reader.secret).body["code"] == "revoked"
        assert ask(port, reader.secret).body["reason"] == "left in a log"


def test_the_calls_are_counted_at_the_portal(portal: Portal, services: dict[str, int]) -> None:
    reader = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read"))
    for port in services.values():
        assert {ask(port, reader.secret).status for _ in range(4)} == {200}

    query = f"print(sum(Usage.objects.filter(credential='{reader.id}').values_list('count', flat=True)))"
    wait_until(lambda: int(portal.shell(query)) >= 4 * len(services))
    assert int(portal.shell(query)) == 4 * len(services)


def test_without_the_portal_nobody_is_told_that_their_key_is_bad(portal: Portal, services: dict[str, int]) -> None:
    reader = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read"))
    portal.stop()
    for port in services.values():
        answer = wait_until(lambda: ask(port, reader.secret))  # noqa: B023
        assert (answer.status, answer.body["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    portal.start()
    for port in services.values():
        wait_until(lambda: ask(port, reader.secret).status == 200)  # noqa: B023


@pytest.mark.edge
def test_a_consumer_reads_until_its_key_is_revoked(
    portal: Portal, services: dict[str, int], consume: Callable[..., Popen[str]]
) -> None:
    reader, port = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read")), services["nginx"]
    program = consume(port, reader.secret)
    printed, said = program.communicate(timeout=DEADLINE)
    assert (json.loads(printed)["reports"], said, program.returncode) == (["first", "second"], "", 0)
    portal.revoke_key(reader.id)
    wait_until(lambda: ask(port, reader.secret).status == 401)
    program = consume(port, reader.secret)
    printed, said = program.communicate(timeout=DEADLINE)
    assert (printed, program.returncode) == ("", 1)
    assert (said.startswith("The key was refused: {"), json.loads(said.partition(": ")[2])["code"]) == (True, "revoked")


def test_a_consumer_waits_for_the_portal(
    portal: Portal, services: dict[str, int], folder: Path, consume: Callable[..., Popen[str]]
) -> None:
    reader, port = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read")), services["flask"]
    log = folder / "flask/gateway.log"
    portal.stop()
    wait_until(lambda: ask(port, reader.secret).status == 503)
    refused = log.read_text().count('" 503 ')
    program = consume(port, reader.secret)
    wait_until(lambda: log.read_text().count('" 503 ') > refused)
    portal.start()
    printed, said = program.communicate(timeout=DEADLINE)
    assert (json.loads(printed)["reports"], said, program.returncode) == (["first", "second"], "", 0)
