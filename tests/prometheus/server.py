"""A Prometheus of the tests' own, which scrapes one portal."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from tests.portal import ROOT
from tests.ports import free_port
from tests.waiting import DEADLINE, wait_until


class Prometheus:
    """A Prometheus that scrapes one portal with the configuration of `deploy/`, only more often."""

    def __init__(self, folder: Path, target: int) -> None:
        self.port = free_port()
        text = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{target}").replace("15s", "500ms")
        (folder / "prometheus.yml").write_text(text)
        (folder / "keyportal.rules.yml").write_bytes((ROOT / "deploy/prometheus/keyportal.rules.yml").read_bytes())
        self.log = (folder / "log").open("wb")
        self._command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    @contextmanager
    def running(self) -> Iterator["Prometheus"]:
        """Start it, and end it by its process id."""
        with self.log, subprocess.Popen(self._command, stdout=self.log, stderr=self.log) as process:
            try:
                wait_until(self._is_ready)
                yield self
            finally:
                process.terminate()
                process.wait(timeout=DEADLINE)

    def get(self, path: str) -> Any:
        """Return what its API answers."""
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=DEADLINE) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Any]:
        """Return the series that an expression gives now."""
        result: list[Any] = self.get(f"query?query={quote(expression)}")["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """Return every alert rule, with its health and its state."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=DEADLINE):
                return True
        except OSError:
            return False
