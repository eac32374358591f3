"""Lists of networks as people write them: what is read, and what is said of every line that is wrong."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys.networks import (
    EVERYBODY,
    LEAVE_EMPTY,
    MAX_FAULTS,
    MAX_NETWORKS,
    NO_CLIENT,
    NOT_A_NETWORK,
    TOO_MANY,
    ZONE_ID,
    NetworkFault,
    NetworksError,
    add_network,
    in_short,
    parse_list,
    parse_text,
    readable_networks,
)
from audit.client_address import Network, parse_address, parse_network

SECRET: Final = "kp_live_" + "0" * 49
HOST_BITS: Final = "This has host bits set. Write {} for the network, or leave out the “/” for a single address."
MAPPED: Final = "The portal sees IPv4 clients with their IPv4 addresses. Write {} instead."

NETWORKS = st.builds(
    lambda bits, prefix: IPv4Network((bits, prefix), strict=False), st.integers(0, 2**32 - 1), st.integers(1, 32)
) | st.builds(
    lambda bits, prefix: IPv6Network((bits, prefix), strict=False), st.integers(0, 2**128 - 1), st.integers(1, 128)
)


LINES = NETWORKS.map(str) | st.text(alphabet="0123456789abcdef.:/%# ,xZ_-é", min_size=1, max_size=30)


def faults_of(text: str) -> list[NetworkFault]:
    """Return what is said of a text; nothing if it is accepted."""
    try:
        parse_text(text)
    except NetworksError as error:
        return [*error.faults, *[NetworkFault(0, "and more")] * error.more]
    return []


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("", ""),
        (" \r\n\t\r\n# nothing yet\n,", ""),
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.7\r\n\r\n2001:DB8:0:0::/32", "203.0.113.7/32 2001:db8::/32"),
        ("10.0.0.0/8,192.168.0.0/16 ,172.16.0.0/12", "10.0.0.0/8 192.168.0.0/16 172.16.0.0/12"),
        ("203.0.113.7 # the office\n# 198.51.100.1\n192.0.2.1#home", "203.0.113.7/32 192.0.2.1/32"),
        ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("127.0.0.1 fe80::1 fd00::/8 100.64.0.0/10", "127.0.0.1/32 fe80::1/128 fd00::/8 100.64.0.0/10"),
        ("\u00a0203.0.113.7\u2003198.51.100.1", "203.0.113.7/32 198.51.100.1/32"),
        ("203.0.113.0/25\n203.0.113.128/25", "203.0.113.0/25 203.0.113.128/25"),
    ],
)
def test_a_list_is_read_in_every_way_that_people_write_it(text: str, networks: str) -> None:
    assert [str(network) for network in parse_text(text)] == networks.split()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("everywhere", NOT_A_NETWORK),
        ("203.0.113.256", NOT_A_NETWORK),
        ("203.0.113.0/33", NOT_A_NETWORK),
        ("203.0.113.7:443", NOT_A_NETWORK),
        ("010.0.0.1", NOT_A_NETWORK),
        ("٢٠٣.0.113.7", NOT_A_NETWORK),
        ("3405803783", NOT_A_NETWORK),
        ("1" * 5000, NOT_A_NETWORK),
        ("50%off", NOT_A_NETWORK),
        (SECRET, NOT_A_NETWORK),
        ("203.0.113.7/24", HOST_BITS.format("203.0.113.0/24")),
        ("2001:db8::7/64", HOST_BITS.format("2001:db8::/64")),
        ("fe80::1%eth0", ZONE_ID),
        ("fe80::%eth0/64", ZONE_ID),
        ("0.0.0.0/0", EVERYBODY),
        ("203.0.113.7/0", EVERYBODY),
        ("0.0.0.0/0.0.0.0", EVERYBODY),
        ("::/0", EVERYBODY),
        ("::ffff:0.0.0.0/96", EVERYBODY),
        ("::ffff:203.0.113.0/120", MAPPED.format("203.0.113.0/24")),
        ("::ffff:203.0.113.7", MAPPED.format("203.0.113.7")),
        ("0.0.0.0/32", NO_CLIENT),
        ("::", NO_CLIENT),
        ("224.0.0.0/4", NO_CLIENT),
        ("239.1.2.3", NO_CLIENT),
        ("ff02::1", NO_CLIENT),
        ("255.255.255.255", NO_CLIENT),
    ],
    ids=ascii,
)
def test_a_wrong_line_is_named_with_what_is_wrong(text: str, message: str) -> None:
    assert faults_of(f"198.51.100.1\n\n  # 203.0.113.99\r\n{text} # office") == [NetworkFault(4, message)]


def test_every_wrong_line_is_named_at_once() -> None:
    text = "nowhere\n203.0.113.7\n203.0.113.9/24\nsomewhere else\n198.51.100.1 203.0.113.0/24"
    assert faults_of(text) == [
        NetworkFault(1, NOT_A_NETWORK),
        NetworkFault(3, HOST_BITS.format("203.0.113.0/24")),
        NetworkFault(4, NOT_A_NETWORK),
        NetworkFault(5, "This contains the network of line 2. Remove one of them."),
    ]


def test_a_fault_reads_as_a_sentence() -> None:
    assert str(faults_of("\nnowhere")[0]) == f"Line 2: {NOT_A_NETWORK}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("203.0.113.7\n\n203.0.113.7/32", "This repeats line 1. Remove one of them."),
        ("203.0.113.0/24\n\n203.0.113.7", "This is within the network of line 1. Remove one of them."),
        ("2001:db8::1\n\n2001:db8::/64", "This contains the network of line 1. Remove one of them."),
        ("\n\n192.0.2.1 192.0.2.1", "This repeats line 3. Remove one of them."),
    ],
)
def test_of_two_lines_with_the_same_addresses_both_are_named(text: str, message: str) -> None:
    assert faults_of(text) == [NetworkFault(3, message)]


@pytest.mark.parametrize("text", ["0.0.0.0/1\n128.0.0.0/1\n2001:db8::1", "128.0.0.0/1\n0.0.0.0/2 64.0.0.0/2"])
def test_networks_that_let_everybody_in_together_are_refused(text: str) -> None:
    assert faults_of(text) == [NetworkFault(2, f"Together, these let every IPv4 address in. {LEAVE_EMPTY}")]
    assert len(parse_text("0.0.0.0/1\n8000::/1")) == 2


def test_a_list_has_so_many_networks_and_no_more() -> None:
    lines = [f"10.0.0.{number}" for number in range(MAX_NETWORKS + 5)]
    assert len(parse_text("\n".join(lines[:MAX_NETWORKS]))) == MAX_NETWORKS
    assert faults_of("\n".join(lines)) == [NetworkFault(MAX_NETWORKS + 1, TOO_MANY)]


def test_so_many_faults_are_named_and_the_others_counted() -> None:
    with pytest.raises(NetworksError) as refused:
        parse_text("\n".join(["wrong"] * (MAX_FAULTS + 3)))
    assert (len(refused.value.faults), refused.value.more) == (MAX_FAULTS, 3)


def test_of_a_list_of_texts_the_index_is_named() -> None:
    assert parse_list(["203.0.113.7", " 2001:db8::/32 "]) == [ip_network("203.0.113.7"), ip_network("2001:db8::/32")]
    with pytest.raises(NetworksError) as refused:
        parse_list(["203.0.113.7", "", "10.0.0.0/8 # comment", "10.0.0.0/8,11.0.0.0/8", "203.0.113.7"])
    assert refused.value.faults == (
        *(NetworkFault(index, NOT_A_NETWORK) for index in (1, 2, 3)),
        NetworkFault(4, "This repeats index 0. Remove one of them."),
    )


@given(st.lists(NETWORKS, max_size=8), st.data())
def test_what_is_accepted_is_what_verification_compares_with(networks: list[Network], data: st.DataObject) -> None:
    accepted = [] if faults_of("\n".join(map(str, networks))) else parse_text("\n".join(map(str, networks)))
    assert accepted in ([], networks)
    for network in accepted:
        stored = parse_network(str(network))
        inside = network[data.draw(st.integers(0, min(network.num_addresses, 2**64) - 1))]
        client = parse_address(str(inside))
        assert stored == network
        assert client is not None
        assert client in stored


@given(st.lists(LINES, max_size=8))
def test_whatever_comes_each_line_is_read_or_named(lines: list[str]) -> None:
    found = faults_of("\r\n".join(lines))
    named = {fault.line for fault in found}
    by_itself = {number for number, line in enumerate(lines, 1) if faults_of(line)}
    assert by_itself <= named
    assert all(0 < line <= len(lines) and lines[line - 1].partition("#")[0].strip(" ,") for line in named)
    assert found or parse_text("\n".join(lines)) == [network for line in lines for network in parse_text(line)]


@given(st.text(max_size=200))
def test_no_fault_quotes_a_line(text: str) -> None:
    with pytest.raises(NetworksError) as refused:
        parse_text(f"{SECRET}\n{SECRET}/24 {text}")
    error = refused.value
    assert SECRET not in f"{error} {error!r} {error.args} {' '.join(map(str, error.faults))}"
    assert error.faults[:2] == (NetworkFault(1, NOT_A_NETWORK), NetworkFault(2, NOT_A_NETWORK))


@given(NETWORKS)
def test_a_network_in_short_is_the_same_network(network: Network) -> None:
    assert ip_network(in_short(network)) == network


@pytest.mark.parametrize(
    ("text", "added", "expected"),
    [
        ("", "203.0.113.7/32", "203.0.113.7"),
        (" \r\n", "203.0.113.0/24", "203.0.113.0/24"),
        ("198.51.100.1 # office", "203.0.113.0/24", "198.51.100.1 # office\n203.0.113.0/24"),
        ("198.51.100.1\r\n\n", "203.0.113.0/24", "198.51.100.1\n203.0.113.0/24"),
        ("203.0.113.0/24 # office", "203.0.113.7/32", "203.0.113.0/24 # office"),
        ("203.0.113.7\r\nnowhere\r\n203.0.113.9, 203.0.113.8", "203.0.113.0/24", "nowhere\n203.0.113.0/24"),
        ("203.0.113.7 198.51.100.1", "203.0.113.0/24", "203.0.113.7 198.51.100.1\n203.0.113.0/24"),
        ("# office\n203.0.113.7", "2001:db8::/64", "# office\n203.0.113.7\n2001:db8::/64"),
    ],
)
def test_an_added_network_takes_the_place_of_what_it_contains(text: str, added: str, expected: str) -> None:
    assert add_network(text, ip_network(added)) == expected


def test_what_can_be_read_of_a_text_is_read() -> None:
    found = readable_networks("nowhere\n203.0.113.9/24 # office\n::1")
    assert found == [ip_network("203.0.113.0/24"), ip_network("::1")]
    assert len(readable_networks("10.0.0.1\n" * 99)) == MAX_NETWORKS
