"""The cases of clients/verdicts.json, judged inside nginx."""

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.clients.verdict_file import FILE
from tests.edges import Edge, running_edge
from tests.ports import free_port

pytestmark = [pytest.mark.once, pytest.mark.edge]

CHECK = """
    location = /check {
        content_by_lua_block {
            local keyportal, cjson = require "keyportal", require "cjson"
            local written = cjson.decode(assert(io.open("FOLDER/verdicts.json")):read "*a")
            for place, case in ipairs(written.cases) do
                for name, value in pairs(case) do
                    case[name] = value ~= cjson.null and value or nil
                end
                local entry, at = keyportal.entry_of(written.records[case.record]), keyportal.seconds_of(case.at)
                local refusal = keyportal.check(entry, case, at, case.client_ip) or { code = "ok" }
                ngx.say(cjson.encode { code = refusal.code, about = refusal.about })
            end
        }
    }
    location = /malformed {
        content_by_lua_block {
            local keyportal, cjson = require "keyportal", require "cjson"
            ngx.req.read_body()
            ngx.print(pcall(keyportal.entry_of, cjson.decode(ngx.req.get_body_data())) and "taken" or "refused")
        }
    }
"""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, written: Any) -> Iterator[Edge]:
    """An nginx without a portal, which judges what it is given."""
    folder: Path = tmp_path_factory.mktemp("edge")
    (folder / "verdicts.json").write_text(json.dumps(written))
    locations = CHECK.replace("FOLDER", str(folder))
    nowhere = f"http://127.0.0.1:{free_port()}"
    with running_edge(folder, free_port(), nowhere, 9, locations=locations, workers=1) as started:
        yield started


@pytest.fixture(scope="module")
def written() -> Any:
    """The cases, with addresses as nginx writes them."""
    content = json.loads(FILE.read_text())
    for case in content["cases"]:
        if case["client_ip"]:
            address = ip_address(case["client_ip"])
            case["client_ip"] = str(getattr(address, "ipv4_mapped", None) or address)
    return content


def test_nginx_judges_every_case_as_the_portal_does(edge: Edge, written: Any) -> None:
    judged = [json.loads(line) for line in edge.request("/check").body.decode().splitlines()]
    cases = written["cases"]
    assert len(judged) == len(cases)
    for case, found in zip(cases, judged, strict=True):
        assert (found["code"], found.get("about", {})) == (case["code"], case["about"]), case


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": None},
        {"scopes": "reports:read"},
        {"scopes": [1]},
        {"networks": ["everywhere"]},
        {"networks": ["192.0.2.0"]},
        {"networks": ["300.0.2.0/24"]},
        {"networks": [None]},
        {"expires_at": "tomorrow"},
        {"expires_at": 5},
        {"retires_at": "2026-03-01T12:00:00+02:00"},
        {"leeway": None},
        {"owner": None},
        {"owner_state": True},
        {"tags": []},
        {"tags": None},
        {"tags": [None]},
        {"key": 1},
        {"secret_id": None},
    ],
)
def test_what_is_no_record_is_not_judged_by(edge: Edge, written: Any, wrong: dict[str, Any]) -> None:
    good = written["records"]["key: from one network"]
    assert edge.request("/malformed", body=json.dumps(good).encode()).body == b"taken"
    assert edge.request("/malformed", body=json.dumps(good | wrong).encode()).body == b"refused", wrong
