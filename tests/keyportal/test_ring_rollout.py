"""A new ring key on two hosts: `old,new` on both, then `new,old`. A host that skips a step calls nothing unknown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import portal_database
from tests.portal import Portal
from vault.rings import new_entry

pytestmark = pytest.mark.finding("H42")
OWNER = "rings@example.com"
RINGS = ("KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Portal, Portal]]:
    """Two hosts of one portal, with a server each."""
    folder: Path = tmp_path_factory.mktemp("rings")
    with portal_database(folder) as database_url, Portal(folder, database_url).running(workers=1) as first:
        second = Portal(folder, database_url, **{**first.environment, "KEYPORTAL_URL": first.url})
        second.log = folder / "second.log"
        second.start(workers=1)
        first.make_developer(OWNER)
        try:
            yield first, second
        finally:
            second.stop()


def restart(portal: Portal, **environment: str) -> None:
    """Start a host's server anew, with other settings."""
    portal.stop()
    portal.environment.update(environment)
    portal.start(workers=1)


def status(portal: Portal, secret: str) -> int:
    """Return what a host says of a key's secret."""
    return portal.get("/api/v1/me", Authorization=f"Bearer {secret}").status


def rings(portal: Portal, *, first: dict[str, str], then: dict[str, str]) -> dict[str, str]:
    """Return both rings with these entries."""
    return {name: f"{first[name]},{then[name]}" for name in RINGS}


def test_a_key_that_every_host_can_read_is_taken_into_use_without_a_refusal(hosts: tuple[Portal, Portal]) -> None:
    one, _ = hosts
    old = {name: one.environment[name] for name in RINGS}
    new = {name: new_entry("new") for name in RINGS}
    _, before = one.make_key(OWNER)
    for host in hosts:
        restart(host, **rings(host, first=old, then=new))
    for host in hosts:
        restart(host, **rings(host, first=new, then=old))
        key, secret = host.make_key(OWNER)
        assert one.shell(f"print(KeySecret.objects.get(key='{key}').index_key_id)") == "new"
        assert {status(asked, text) for asked in hosts for text in (secret, before)} == {200}
    for host in hosts:
        assert host.get("/readyz").status == 200


def test_a_host_that_lacks_the_key_in_use_says_so_and_calls_nothing_unknown(hosts: tuple[Portal, Portal]) -> None:
    one, other = hosts
    held = {name: one.environment[name] for name in RINGS}
    _, before = one.make_key(OWNER)
    assert {status(host, before) for host in hosts} == {200}
    restart(one, KEYPORTAL_INDEX_KEYS=f"{new_entry('early')},{held['KEYPORTAL_INDEX_KEYS']}")
    assert {status(host, before) for host in hosts} == {200}  # nothing was written with it yet
    assert [host.get("/readyz").status for host in hosts] == [200, 200]
    _, secret = one.make_key(OWNER)
    assert status(one, secret) == 200
    assert [status(other, text) for text in (secret, before)] == [503, 200]
    assert b"the index ring lacks the key 'early' that the database was written with" in other.get("/readyz").body
    restart(other, KEYPORTAL_INDEX_KEYS=one.environment["KEYPORTAL_INDEX_KEYS"])
    assert {status(host, text) for host in hosts for text in (secret, before)} == {200}
