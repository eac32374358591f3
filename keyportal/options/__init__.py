"""Every setting in one table: what reads, checks, documents and tests the settings goes by it.

Another setting is another `Option` in one of the modules beside this one, and that is all: `KEYPORTAL_…` is then
`settings.KEYPORTAL_…`, `make configuration` writes it into docs/configuration.md, and
tests/keyportal/test_odd_settings.py tries odd values on it.
"""

from collections.abc import Mapping
from typing import Final

from keyportal.options import guards, installation, policy
from keyportal.options.option import Option

GROUPS: Final[Mapping[str, tuple[Option, ...]]] = {**installation.GROUPS, **policy.GROUPS, **guards.GROUPS}
OPTIONS: Final = tuple(option for group in GROUPS.values() for option in group)
