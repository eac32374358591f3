"""Run wrk, and write scripts for it."""

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Load(NamedTuple):
    """What wrk measured."""

    rate: float
    """Requests per second."""
    p99: float
    """Seconds."""


def load(
    url: str, authorization: str = "", *, seconds: float, connections: int = 8, script: Path | None = None
) -> Load:
    """Send requests as fast as possible over so many connections. Raises RuntimeError if any answer was not 200."""
    head = ["-H", f"Authorization: {authorization}"] if authorization else []
    how = ["-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", *head]
    command = ["wrk", *how, *(["-s", str(script)] if script else []), url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", printed)
    if rate is None or p99 is None or "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(printed)
    return Load(float(rate[1]), float(p99[1]) * UNITS[p99[2]])


def verify_script(folder: Path, secret: str) -> Path:
    """Write and return a script with which wrk sends a credential to `/api/v1/verify`."""
    script = folder / "verify.lua"
    body = json.dumps({"credential": secret})
    script.write_text(f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{body}'\n")
    return script


def each_in_turn(folder: Path, secrets: Path, *, stop_after: int = 0) -> Path:
    """Write and return a script that sends the file's keys in turn, and stops after so many requests (0: never)."""
    script = folder / f"turn-{secrets.stem}-{stop_after}.lua"
    stop = f"\n  if n == {stop_after} then wrk.thread:stop() end" if stop_after else ""
    script.write_text(
        f'local keys = {{}}\nfor line in io.lines("{secrets}") do keys[#keys + 1] = "Bearer " .. line end\n'
        "local n = 0\n"
        f"request = function()\n  n = n + 1{stop}\n"
        '  return wrk.format("GET", nil, {["Authorization"] = keys[n % #keys + 1]})\nend\n'
    )
    return script
