"""What the README of the client tells those who check credentials in their API."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from tests.clients.verifying.samples import OWNER
from tests.clients.verifying.scripted import SERVICE_KEY, ScriptedPortal, scripted
from tests.portal import ROOT

__all__ = ["scripted"]

pytestmark = pytest.mark.once

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "clients/python/README.md").read_text(), re.MULTILINE | re.DOTALL)
[BLOCK] = (block for block in BLOCKS if "Verifier" in block)


def test_the_example_answers_requests(scripted: ScriptedPortal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYPORTAL_PORTAL", scripted.url)
    monkeypatch.setenv("KEYPORTAL_KEY", SERVICE_KEY)
    names: dict[str, Any] = {}
    exec(BLOCK, names)  # noqa: S102  # the README's own
    request = SimpleNamespace(headers={"Authorization": f"Bearer {scripted.new_key()}"}, remote_addr="192.0.2.7")
    assert names["handle"](request) == (200, {}, {"hello": "billing server", "of": OWNER})
    request.headers = {}
    status, headers, body = names["handle"](request)
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="keyportal"')
    assert body["type"] == f"{scripted.url}/docs/errors/missing_credential/"
    names["verifier"].close()
