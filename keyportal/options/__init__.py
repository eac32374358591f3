"""Every setting in one table. Reading, checks, documentation and tests of the settings all follow it.

To add a setting, add an `Option` to one of the modules beside this one. `KEYPORTAL_…` is then `settings.KEYPORTAL_…`,
`make configuration` documents it in docs/configuration.md, and tests/keyportal/test_odd_settings.py tries unusual
values.
"""

from collections.abc import Mapping
from typing import Final

from keyportal.options import attempt_limits, installation, policy, tracing
from keyportal.options.option import Option

GROUPS: Final[Mapping[str, tuple[Option, ...]]] = {
    **installation.GROUPS,
    **policy.GROUPS,
    **attempt_limits.GROUPS,
    **tracing.GROUPS,
}
OPTIONS: Final = tuple(option for group in GROUPS.values() for option in group)
