"""What a location of nginx requires: it says so itself, and one that says nothing admits nobody."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.gateways import nginx
from tests.oauth_client import ClientKey
from tests.portal import Portal
from tests.ports import free_port
from tests.services import serving
from tests.wire import exchange, head

pytestmark = [pytest.mark.once, pytest.mark.nginx, pytest.mark.finding("H35")]
LOCATIONS: Final = {
    "scoped": 'set $keyportal_query "scope=reports:read";',
    "any": "set $keyportal_query any;",
    "silent": "",
}


@pytest.fixture(scope="module")
def gateway_port(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    locations = "".join(
        f"location /{name}/ {{ {query} include keyportal-proxy.conf; proxy_pass http://api; }}\n"
        for name, query in LOCATIONS.items()
    )
    beside = f"server {{ listen 127.0.0.1:{port}; include keyportal-verdict.conf;\n{locations}}}\n"
    folder: Path = tmp_path_factory.mktemp("nginx")
    with serving() as (api, _), nginx(folder, free_port(), [portal.port], api, beside=beside):
        yield port


@pytest.mark.parametrize(
    ("location", "statuses"), [("scoped", (200, 403, 401)), ("any", (200, 200, 401)), ("silent", (503, 503, 503))]
)
def test_a_location_admits_what_it_names_and_one_that_names_nothing_admits_nobody(
    portal: Portal, gateway_port: int, location: str, statuses: tuple[int, ...]
) -> None:
    email = f"query-{secrets.token_hex(4)}@example.com"
    portal.make_developer(email)
    portal.shell("Scope.objects.get_or_create(name='reports:read', defaults={'description': 'x'})")
    reader, other = (ClientKey(*portal.make_key(email, *scope)) for scope in (("--scope", "reports:read"), ()))
    lines = [[f"Authorization: Bearer {key.secret}"] for key in (reader, other)]
    answers = [exchange(gateway_port, head("GET", f"/{location}/1", *each)) for each in (*lines, [])]
    assert tuple(answer.status for answer in answers) == statuses
