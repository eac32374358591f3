"""The package as others get it: built as a wheel, for pip to install into an empty environment."""

import os
import subprocess
import sys
from pathlib import Path

from tests.portal import ROOT

PACKAGE = ROOT / "clients/python"


def build_wheel(folder: Path) -> Path:
    """Build the package's wheel into a folder and return it."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(PACKAGE)], check=True, capture_output=True)
    [wheel] = folder.glob("keyportal_client-*.whl")
    return wheel


def empty_environment(folder: Path, wheels: Path) -> dict[str, str]:
    """Make a virtual environment with nothing in it; return the variables with which pip finds the wheel too."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    found_at = f"{pip.get('PIP_FIND_LINKS', '')} {wheels}".strip()
    quiet = {"PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {**pip, **quiet, "PIP_FIND_LINKS": found_at, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
