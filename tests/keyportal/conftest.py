"""What tests of the whole portal may ask for: one behind a proxy that ends TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import portal_database
from tests.fronts import OWNER, PASSWORD, START, Front
from tests.http2 import unverified
from tests.oauth_client import ClientKey
from tests.portal import Portal
from tests.ports import free_port


@pytest.fixture(scope="session")
def tls_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """One in production mode that trusts proxies on this machine."""
    folder: Path = tmp_path_factory.mktemp("behind-tls")
    with portal_database(folder) as database_url:
        made = Portal(folder, database_url, KEYPORTAL_TRUSTED_PROXIES="127.0.0.1/32")
        made.environment |= {
            "KEYPORTAL_LOCAL": "false",
            "KEYPORTAL_URL": "https://127.0.0.1",
            "KEYPORTAL_METRICS_NETWORKS": "127.0.0.0/8",
            "KEYPORTAL_LIMIT_LOGIN_ADDRESS": "5 per hour",
        }
        with made.running(workers=1):
            made.make_developer(OWNER, PASSWORD)
            yield made


@pytest.fixture(scope="module", params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in START])
def front(
    request: pytest.FixtureRequest, tls_portal: Portal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    """One proxy after the other."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    port, plain = free_port(), free_port()
    client = ClientKey(*tls_portal.make_key(OWNER))
    with START[request.param](folder, port, plain, tls_portal.port):
        yield Front(request.param, port, plain, tls_portal, client, unverified("http/1.1"), folder)
