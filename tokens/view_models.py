"""What the page of signed-in apps shows of a log-in."""

from datetime import datetime
from typing import NamedTuple

from accounts.names import printable
from accounts.times import in_words
from tokens.models import TokenFamily


class AppRow(NamedTuple):
    """One signed-in app of the list."""

    id: str
    program: str
    """What the program called itself, as far as it can be shown."""
    address: str
    scopes: list[str]
    audience: str
    """The service that its tokens are for; empty for the default one."""
    started_at: datetime
    refreshed_at: datetime
    end_label: str
    """What its button does, for those who hear it without the row."""


def app_row(family: TokenFamily) -> AppRow:
    """Return a log-in as its user's list shows it."""
    program = printable(str(family.agent))  # a row that the portal did not write may hold something else
    return AppRow(
        id=family.pk,
        program=program or "Unknown program",
        address=family.address or "an unknown address",
        scopes=str(family.scopes).split(),
        audience=family.audience,
        started_at=family.started_at,
        refreshed_at=family.refreshed_at,
        end_label=f"End {program or 'unknown program'}, since {in_words(family.started_at)}",
    )
