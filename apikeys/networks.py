"""Read a list of allowed networks as people write it, and say what is wrong with each line. Knows no database.

No fault quotes a line, because a line may be a secret that was pasted into the wrong field. A fault may show a network
that was computed from a valid address.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_interface, ip_network
from itertools import islice
from typing import Any, Final, NamedTuple

from audit.client_address import MAX_LENGTH, Network

MAX_NETWORKS: Final = 50
MAX_TEXT: Final = 4000
"""Characters of a list, with its comments."""
MAX_FAULTS: Final = 10
"""The faults that are named; the others are counted."""
NEVER_A_CLIENT: Final = tuple(map(ip_network, ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255", "::", "ff00::/8")))
"""Networks of which no client has an address: no address yet, multicast, broadcast."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")  # as browsers count lines; `splitlines` knows more ends
_ZONE: Final = re.compile(r"%[^/]*")
_IPV4_MAPPED: Final = IPv6Network("::ffff:0:0/96")

NOT_A_NETWORK: Final = "This isn't an address or a network. Write one such as 203.0.113.7 or 203.0.113.0/24."
ZONE_ID: Final = "A zone (after “%”) has a meaning on one machine only. Leave it out."
LEAVE_EMPTY: Final = "Leave the field empty to allow any address."
EVERYBODY: Final = f"This lets everybody in. {LEAVE_EMPTY}"
NO_CLIENT: Final = "No client can have such an address."
TOO_MANY: Final = f"Enter up to {MAX_NETWORKS} networks."


class NetworkFault(NamedTuple):
    """What is wrong with one line of a list."""

    line: int
    """The number of the line, from 1; of a list of texts, the index, from 0."""
    message: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.message}"


class NetworksError(ValueError):
    """A list of networks has faults."""

    def __init__(self, faults: Sequence[NetworkFault]) -> None:
        super().__init__("The list of networks has faults.")
        self.faults = tuple(faults[:MAX_FAULTS])
        """The first ones, in the order of the lines."""
        self.more = len(faults) - len(self.faults)
        """How many there are beyond those."""


class _Entry(NamedTuple):
    line: int
    text: str


class _Read(NamedTuple):
    line: int
    network: Network


def parse_text(text: str) -> list[Network]:
    """Return the networks of a text: one or more on each line, with blanks or commas between them and `#` comments.

    Raises `NetworksError`, which names lines.
    """
    return _parse(_entries(text), "line")


def parse_list(texts: Iterable[str]) -> list[Network]:
    """Return the networks of a list of texts, each of which is one network. Raises `NetworksError` with indexes."""
    return _parse((_Entry(index, text.strip()) for index, text in enumerate(texts)), "index")


def in_short(network: Network) -> str:
    """Return the network as people write it: a single address without the length of its prefix."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def readable_networks(text: str) -> list[Network]:
    """Return the networks of a text that can be read, whatever is wrong with the others."""
    found = (_network(entry.text) for entry in _entries(text))
    return list(islice((network for network in found if network is not None), MAX_NETWORKS))


def add_network(text: str, network: Network) -> str:
    """Return the text with a line for the network, in the place of lines within it; unchanged if a line has it already.

    Lines that hold something else as well stay.
    """
    if is_within(network, readable_networks(text)):
        return text
    lines = [line for line in _LINE_END.split(text.rstrip()) if not _is_all_within(line, network)]
    return "\n".join([*(lines if any(map(str.strip, lines)) else ()), in_short(network)])


def is_within(network: Network, others: Iterable[Network]) -> bool:
    """Return whether one of the other networks contains this one."""
    return any(_contains(other, network) for other in others)


def _is_all_within(line: str, network: Network) -> bool:
    found = [_network(entry.text) for entry in _entries(line)]
    return bool(found) and all(other is not None and _contains(network, other) for other in found)


def _entries(text: str) -> Iterator[_Entry]:
    for number, line in enumerate(_LINE_END.split(text), 1):
        for entry in line.partition("#")[0].replace(",", " ").split():
            yield _Entry(number, entry)


def _parse(entries: Iterable[_Entry], unit: str) -> list[Network]:
    read: list[_Read] = []
    faults: list[NetworkFault] = []
    for count, (line, text) in enumerate(entries, 1):
        if count > MAX_NETWORKS:
            faults.append(NetworkFault(line, TOO_MANY))
            break
        network = _network(text)
        fault = NOT_A_NETWORK if network is None else _fault_of(text, network) or _overlap(network, read, unit)
        if fault or network is None:
            faults.append(NetworkFault(line, fault))
        else:
            read.append(_Read(line, network))
    # A sentence that was pasted is one fault, not one for each word.
    if faults := list(dict.fromkeys(faults or _all_addresses(read))):
        raise NetworksError(faults)
    return [network for _, network in read]


def _network(text: str) -> Network | None:
    """Return the network of a text, whether or not its host bits are set; None if there is none."""
    try:
        return ip_interface(_ZONE.sub("", text)).network if len(text) <= MAX_LENGTH else None
    except ValueError:
        return None


def _fault_of(text: str, network: Network) -> str:
    """Return what is wrong with a network by itself; empty if nothing is."""
    if "%" in text:
        return ZONE_ID
    if network.prefixlen == 0 or network == _IPV4_MAPPED:
        return EVERYBODY
    if _contains(_IPV4_MAPPED, network):
        return f"The portal sees IPv4 clients with their IPv4 addresses. Write {in_short(_mapped(network))} instead."
    if is_within(network, NEVER_A_CLIENT):
        return NO_CLIENT
    if ip_interface(text).ip != network.network_address:
        return f"This has host bits set. Write {network} for the network, or leave out the “/” for a single address."
    return ""


def _mapped(network: Network) -> IPv4Network:
    """Return the IPv4 network of an IPv4-mapped one."""
    return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - _IPV4_MAPPED.prefixlen))


def _overlap(network: Network, earlier: Iterable[_Read], unit: str) -> str:
    """Return what a network has in common with an earlier one; empty if nothing."""
    for line, other in earlier:
        if network == other:
            return f"This repeats {unit} {line}. Remove one of them."
        if _contains(other, network):
            return f"This is within the network of {unit} {line}. Remove one of them."
        if _contains(network, other):
            return f"This contains the network of {unit} {line}. Remove one of them."
    return ""


def _all_addresses(read: Sequence[_Read]) -> Iterator[NetworkFault]:
    """Yield a fault at the last line of each kind of address of which the list lets every one in."""
    for version in (4, 6):
        of_version: Any = [network for _, network in read if network.version == version]
        if any(block.prefixlen == 0 for block in collapse_addresses(of_version)):
            last = max(line for line, network in read if network.version == version)
            yield NetworkFault(last, f"Together, these let every IPv{version} address in. {LEAVE_EMPTY}")


def _contains(network: Network, other: Network) -> bool:
    # The addresses are compared as numbers: `subnet_of` raises for another version.
    return (
        network.version == other.version and network.prefixlen <= other.prefixlen and other.network_address in network
    )
