"""A FastAPI, a Flask and a REST framework service, protected by three lines each: installed from the wheel, started."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.installed import build_wheel
from tests.databases import portal_database
from tests.examples.services import SERVICES, ask, make_environment, serving
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.waiting import wait_until

pytestmark = pytest.mark.once
OWNER = "developer@example.com"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal of the file's own, which is stopped in between."""
    folder = tmp_path_factory.mktemp("portal-of-services")
    with portal_database(folder) as database_url, Portal(folder, database_url).running() as portal:
        portal.make_developer(OWNER)
        portal.shell("Scope.objects.get_or_create(name='reports:read', defaults={'description': 'Read reports'})")
        yield portal


@pytest.fixture(scope="module")
def services(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The port of each service, by its extra."""
    folder: Path = tmp_path_factory.mktemp("services")
    _, key = portal.make_key(OWNER, "--scope", "credentials:verify", "--restricted", name="reports service")
    wheel = build_wheel(folder)
    with ExitStack() as stack:
        ports = {}
        for extra in SERVICES:
            commands = make_environment(folder / extra, wheel, extra)
            ports[extra] = stack.enter_context(serving(extra, commands, portal=portal.url, key=key))
        yield ports


@pytest.mark.parametrize("extra", SERVICES)
def test_an_example_is_protected_by_few_lines(extra: str) -> None:
    text = (Path(__file__).parents[2] / f"examples/{extra}_service.py").read_text()
    assert 0 < len([line for line in text.splitlines() if "eyportal" in line.partition("#")[0]]) <= 10


@pytest.mark.parametrize("extra", SERVICES)
def test_a_key_with_the_scope_gets_in_and_nobody_else(portal: Portal, services: dict[str, int], extra: str) -> None:
    reader = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read"))
    nobody = ClientKey(*portal.make_key(OWNER))
    good = ask(services[extra], reader.secret)
    assert (good.status, good.body["reports"]) == (200, ["first", "second"])
    assert ask(services[extra], OAuthClient(portal).client_token(reader)).body["owner"] == good.body["owner"]
    refused = ask(services[extra], nobody.secret)
    assert (refused.status, refused.body["code"]) == (403, "insufficient_scope")
    assert 'scope="reports:read"' in refused.headers["www-authenticate"]
    missing, garbage = ask(services[extra]), ask(services[extra], "garbage")
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
