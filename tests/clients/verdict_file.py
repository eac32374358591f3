"""What clients/verdicts.json should hold: `make verdicts` writes it, and a test compares it."""

import json
from datetime import datetime
from typing import Any, Final

from accounts.times import rfc3339
from credentials.record import VerifiedRecord
from gateway.record_json import record_json
from tests.clients.judged import make_record, verdict
from tests.clients.verdict_cases import Request, cases
from tests.portal import ROOT

FILE: Final = ROOT / "clients/verdicts.json"
FORMAT: Final = 1


def render() -> str:
    """Return the file as it should be."""
    records: dict[str, VerifiedRecord] = {}
    lines: list[str] = []
    for name, changed, at, request in cases():
        record = records[name] = records.get(name) or make_record(name.partition(":")[0], changed)
        if record_json(record) is not None:  # else a verifier gets none
            lines.append(_line({"record": name, **_shown(at, request), **verdict(record, at, request)}))
    kept = {name: _line(written) for name, record in records.items() if (written := record_json(record))}
    members = ",\n  ".join(f"{json.dumps(name)}: {written}" for name, written in kept.items())
    unique = ",\n  ".join(dict.fromkeys(lines))
    return f'{{\n "format": {FORMAT},\n "records": {{\n  {members}\n }},\n "cases": [\n  {unique}\n ]\n}}\n'


def _shown(at: datetime, request: Request) -> dict[str, Any]:
    return {"at": rfc3339(at), **request._asdict()}


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
