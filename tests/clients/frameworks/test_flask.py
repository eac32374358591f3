"""What only Flask has: one check for a whole blueprint."""

import pytest
from flask import Blueprint, Flask, g

from keyportal_client.flask import Keyportal
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.services import SCOPE

pytestmark = pytest.mark.once


def test_a_blueprint_is_checked_as_a_whole_and_each_request_counted_once(
    keyportal: InMemoryPortal, api_key: MakeKey
) -> None:
    protection, app, blueprint = Keyportal(), Flask("service"), Blueprint("api", "api")
    blueprint.before_request(protection.requires()(lambda: None))

    @blueprint.get("/reports")
    @protection.requires(SCOPE)
    def reports() -> str:
        return str(g.credential.id)

    app.register_blueprint(blueprint)
    client, key, other = app.test_client(), api_key([SCOPE]), api_key()
    assert "missing_credential" in client.get("/reports").text
    assert client.get("/reports", headers=key.headers).text == key.id
    assert client.get("/reports", headers=other.headers).status_code == 403
    assert keyportal.usage == {key.id: {"accepted": 1}, other.id: {"accepted": 1}}


def test_a_preflight_is_answered_by_flask_itself(keyportal: InMemoryPortal) -> None:
    app = Flask("service")
    app.get("/reports")(Keyportal().requires(SCOPE)(lambda: "reports"))
    assert app.test_client().options("/reports").status_code == 200
