"""What tests of gateways may ask for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.behind import Behind, Gateways
from tests.databases import portal_database
from tests.portal import Portal


@pytest.fixture(scope="session")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    """A portal as in production that trusts gateways on this machine, and each gateway that a test asks for.

    Its address is https, the gateways ask over plain http, and so do their clients: TLS ends before.
    """
    folder: Path = tmp_path_factory.mktemp("gateways")
    production = {"KEYPORTAL_LOCAL": "false", "KEYPORTAL_URL": "https://portal.test"}
    with (
        portal_database(folder) as database_url,
        Portal(folder, database_url, KEYPORTAL_TRUSTED_PROXIES="127.0.0.1/32", **production).running(
            workers=1
        ) as portal,
        ExitStack() as stack,
    ):
        yield Gateways(portal, folder, stack)


@pytest.fixture
def behind(request: pytest.FixtureRequest, gateways: Gateways) -> Behind:
    """A gateway in front of an API: see `tests.behind.behind_each`."""
    return gateways.behind(request.param)
