"""The versions of what the portal stands on, compared with what it was tested with. Asks nobody for advisories."""

import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from django.utils import timezone

from keyportal.doctor.findings import Finding, problem, warning
from keyportal.options.kinds import BASE_DIR

PYTHON_UNTIL: Final = {
    (3, 11): date(2027, 10, 31),
    (3, 12): date(2028, 10, 31),
    (3, 13): date(2029, 10, 31),
    (3, 14): date(2030, 10, 31),
}
"""When Python's project ends its support (https://devguide.python.org/versions/)."""
DJANGO_UNTIL: Final = date(2028, 4, 30)
"""When Django 5.2 LTS ends (https://www.djangoproject.com/download/)."""
OLDEST_OPENSSL: Final = (3, 0)
_PIN: Final = re.compile(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)$")

PACKAGES = problem(
    "packages_differ",
    meaning="These versions were not tested together, and an older one may have known faults.",
    advice="Run `pip install -r requirements.txt` in the portal's virtual environment, and restart.",
)
PYTHON = warning(
    "python_unsupported",
    meaning="It gets no fixes for security any more.",
    advice="Make the virtual environment with a newer Python.",
)
DJANGO = warning(
    "django_unsupported",
    meaning="Django 5.2 gets no fixes for security any more.",
    advice="Upgrade to a release of keyportal that stands on a newer Django.",
)
OPENSSL = warning(
    "openssl_old",
    meaning="Python's OpenSSL gets no fixes for security any more.",
    advice="Use a Python that is built with OpenSSL 3.",
)


def examine() -> Iterator[Finding]:
    """Yield packages that are not the pinned ones, and versions that are no longer supported."""
    differing = sorted(name for name, pinned in pins().items() if installed(name) != pinned)
    if differing:
        yield PACKAGES.found(f"Not as pinned in requirements.txt: {', '.join(differing)}.")
    today = timezone.now().date()
    if PYTHON_UNTIL.get(sys.version_info[:2], date.max) < today:
        yield PYTHON.found(f"Python is version {sys.version_info[0]}.{sys.version_info[1]}.")
    if today > DJANGO_UNTIL:
        yield DJANGO.found(f"The support of Django 5.2 ended on {DJANGO_UNTIL}.")
    if ssl.OPENSSL_VERSION_INFO[:2] < OLDEST_OPENSSL:
        yield OPENSSL.found(f"Python uses {ssl.OPENSSL_VERSION}.")


def pins() -> Mapping[str, str]:
    """Return the version of each package that the portal was tested with."""
    return dict(_PIN.findall((BASE_DIR / "requirements.txt").read_text()))


def installed(name: str) -> str:
    """Return the version of a package that is installed; empty if it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
