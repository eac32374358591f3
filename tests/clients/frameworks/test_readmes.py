"""The READMEs' three lines for each framework, run as they stand there."""

import re
import sys
from types import ModuleType
from typing import Any, Final

import pytest
from django.test import RequestFactory, override_settings
from fastapi.testclient import TestClient

from keyportal_client.serving.options import Options
from keyportal_client.testing import InMemoryPortal
from keyportal_client.testing.plugin import MakeKey
from tests.clients.frameworks.services import SCOPE, as_django
from tests.portal import ROOT

pytestmark = pytest.mark.once
README: Final = (ROOT / "clients/python/README.md").read_text()
SECTION: Final = README.partition("## Protect your API")[2].partition("\n## ")[0]
SERVICES: Final[dict[str, str]] = dict(
    re.findall(r"^### ([^\n]+)\n\n```python\n(.+?)```", SECTION, re.MULTILINE | re.DOTALL)
)
BEGINNING: Final = (ROOT / "README.md").read_text().partition("## Your API")[2].partition("\n## ")[0]
FIRST: Final[dict[str, str]] = {
    f"first: {name}": code
    for name, code in re.findall(
        r"^(\w[\w ]+) \(`pip [^`]+`.*?```python\n(.+?)```", BEGINNING, re.MULTILINE | re.DOTALL
    )
}
ALL: Final = SERVICES | FIRST


def run(framework: str, headers: dict[str, str]) -> int:
    """Return the status that the framework's service in the README answers."""
    module: Any = ModuleType("service_of_the_readme")
    sys.modules[module.__name__] = module
    exec(ALL[framework], vars(module))  # noqa: S102
    if "Django" in framework:
        view = module.ReportsView.as_view() if "REST" in framework else module.reports
        with override_settings(**as_django({})):
            response = view(RequestFactory().get("/reports", headers={"Accept": "application/json", **headers}))
            return int(response.status_code)
    client = module.app.test_client() if "Flask" in framework else TestClient(module.app)
    response = client.get("/reports", headers=headers)
    return int(response.status_code)


@pytest.mark.parametrize("framework", ALL)
def test_it_protects_a_service(keyportal: InMemoryPortal, api_key: MakeKey, framework: str) -> None:
    assert run(framework, api_key([SCOPE]).headers) == 200
    assert run(framework, api_key().headers) == 403
    assert run(framework, {}) == 401


@pytest.mark.parametrize("framework", SERVICES)
def test_it_is_ten_lines_of_which_three_are_ours(framework: str) -> None:
    lines = [line for line in SERVICES[framework].splitlines() if line.strip()]
    ours = [line for line in lines if re.search(r"keyportal|HasScope\(|requires\(", line, re.IGNORECASE)]
    assert (len(lines) <= 10, len(ours) <= 3) == (True, True), ours


def test_every_framework_and_every_option_is_there() -> None:
    assert set(FIRST) == {"first: FastAPI", "first: Flask", "first: Django REST framework"}
    assert set(SERVICES) == {"FastAPI", "Starlette", "Flask", "Django", "Django REST framework"}
    table = "".join(re.findall(r"^\| .+$", SECTION, re.MULTILINE))
    assert {*Options.__annotations__, "user"} <= set(re.findall(r"`(\w+)`", table))
