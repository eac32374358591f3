"""What the editor of a key's networks shows. Templates compute nothing."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from apikeys.models import APIKey
from apikeys.network_evidence import AddressCalls, DryRun, RecentCalls, Suggestion, dry_run, recent_calls, suggestions
from apikeys.networks import MAX_TEXT, in_short, is_within, readable_networks
from apikeys.pages.network_forms import NetworksForm
from audit.client_address import Network, parse_address

SHOWN: Final = 10
"""The rows of a list that the page shows; it folds the others away."""


class SuggestionRow(NamedTuple):
    """A suggested network beside the list."""

    suggestion: Suggestion
    text: str
    """The network as a line of the list."""
    is_listed: bool
    """Whether the list has it already, or a network that contains it."""


class Refused(NamedTuple):
    """Where refused calls came from: the first addresses, and those that the page folds away."""

    first: Sequence[AddressCalls]
    others: Sequence[AddressCalls]


class NetworksPage(NamedTuple):
    """The editor of a key's networks."""

    key: APIKey
    form: NetworksForm
    recent: RecentCalls
    suggested: list[SuggestionRow]
    """The first suggestions."""
    others_suggested: list[SuggestionRow]
    """Those that the page folds away."""
    add_all: str
    """Every suggested network that the list lacks, separated by spaces; empty if there is just one."""
    dry_run: DryRun | None
    """What the list would have done; None if it has not been checked, or can't be."""
    refused: Refused
    is_unsaved: bool
    """Whether the list was to be saved, and must be confirmed first."""
    allows_any: bool
    """Whether the list that was checked allows any address."""
    my_address: str
    leaves_me_out: bool
    """Whether the list that was checked does not allow the developer's own address."""


def networks_page(form: NetworksForm, my_address: str, *, is_unsaved: bool = False) -> NetworksPage:
    """Return the editor with this form. A valid list is shown checked, because the form then says that it was."""
    recent = recent_calls(form.key.pk)
    is_checked = form.is_valid()
    chosen = form.networks_chosen if is_checked else []
    result = dry_run(recent, chosen) if is_checked else None
    rows = result.rows if result else ()
    suggested = _suggested(recent, form.text[:MAX_TEXT])
    missing = [row.text for row in suggested if not row.is_listed]
    return NetworksPage(
        key=form.key,
        form=form,
        recent=recent,
        suggested=suggested[:SHOWN],
        others_suggested=suggested[SHOWN:],
        add_all=" ".join(missing) if len(missing) > 1 else "",
        dry_run=result,
        refused=Refused(rows[:SHOWN], rows[SHOWN:]),
        is_unsaved=is_unsaved,
        allows_any=is_checked and not chosen,
        my_address=my_address,
        leaves_me_out=leaves_out(my_address, chosen),
    )


def leaves_out(text: str, networks: Sequence[Network]) -> bool:
    """Return whether a list that is not empty lacks this address; False if it is not known."""
    address = parse_address(text)
    return bool(address and networks) and not any(address in network for network in networks)


def _suggested(recent: RecentCalls, text: str) -> list[SuggestionRow]:
    listed = readable_networks(text)
    return [
        SuggestionRow(suggestion, in_short(suggestion.network), is_within(suggestion.network, listed))
        for suggestion in suggestions(recent)
    ]
