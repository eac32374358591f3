"""The Flask service behind nginx: it knows nothing of keys, and gets only requests that may come in."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from examples.reports_service import app
from tests.gateways import nginx
from tests.oauth_client import ClientKey
from tests.portal import Portal
from tests.ports import free_port

pytestmark = [pytest.mark.once, pytest.mark.nginx]
OWNER = "service@example.com"


@pytest.fixture
def service() -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def test_it_is_told_who_asks_and_never_how_they_proved_it(portal: Portal, service: int, tmp_path: Path) -> None:
    owner = portal.make_developer(OWNER)
    for name in ("reports:read", "reports:write"):
        portal.shell(f"Scope.objects.get_or_create(name='{name}', defaults={{'description': 'x'}})")
    reader = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read"))
    writer = ClientKey(*portal.make_key(OWNER, "--scope", "reports:read", "--scope", "reports:write"))
    front = Portal(tmp_path, "")
    front.port = free_port()
    with nginx(tmp_path, front.port, [portal.port], service):

        def call(method: str, path: str, client: ClientKey) -> tuple[int, object]:
            forged = {"Authorization": f"Bearer {client.secret}", "X-Keyportal-Owner": "usr_somebody_else"}
            answer = front.request(method, path, headers=forged)
            return answer.status, json.loads(answer.body) if answer.status == 200 else None

        assert call("GET", "/reports/1", reader) == (200, {"report": "1", "for": owner, "may_write": False})
        assert call("GET", "/reports/1", writer) == (200, {"report": "1", "for": owner, "may_write": True})
        assert call("DELETE", "/reports/admin/1", reader) == (403, None)
        assert call("DELETE", "/reports/admin/1", writer) == (200, {"removed": "1", "by": writer.id})
