"""Writes keyportal/api_reference/openapi.json: `make reference`. Fails on the first warning of drf-spectacular."""

import json
import sys
from pathlib import Path
from typing import Any

import django

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "keyportal/api_reference/openapi.json"


def render() -> str:
    """Return the description as it should be. Raises RuntimeError if drf-spectacular warns of anything."""
    from drf_spectacular.drainage import GENERATOR_STATS  # needs the settings
    from drf_spectacular.generators import SchemaGenerator

    description: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    if GENERATOR_STATS:
        GENERATOR_STATS.emit_summary()
        raise RuntimeError("drf-spectacular warns")
    return json.dumps(description, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    django.setup()
    written = render()
    if "--check" in sys.argv:
        sys.exit(None if FILE.read_text() == written else "out of date: make reference")
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(written)
