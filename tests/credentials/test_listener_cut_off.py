"""PostgreSQL out of a listener's reach: never a stale 200 past the lease, and no restart to get well again."""

import http.client
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.oauth_client import ClientKey, OAuthClient
from tests.parallel import all_at_once
from tests.portal import Portal
from tests.portal_user import PortalUser
from tests.proxy import Proxy
from tests.staleness import IN_A_ROW, wait_until_refused
from tests.waiting import DEADLINE, wait_until, wait_until_steady
from tests.with_postgres import Cluster
from vault.secret_format import new_secret

pytestmark = [pytest.mark.once, pytest.mark.postgresql]
AFTERWARDS = 40
"""So many requests more, after every worker had heard: what is cached in vain would show."""


@pytest.fixture(scope="module")
def far(cluster: Cluster, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal that reaches its database through the proxy."""
    url = cluster.url.replace(f":{cluster.port}/", f":{proxy.port}/")
    with Portal(tmp_path_factory.mktemp("far"), url).running() as started:
        yield started


@pytest.fixture(scope="module")
def near(cluster: Cluster, far: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """Another host on the same database, which the proxy does not touch."""
    names = ("SECRET_KEY", "KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS", "KEYPORTAL_SIGNING_KEYS")
    same = {name: far.environment[name] for name in names}
    with Portal(tmp_path_factory.mktemp("near"), cluster.url, **same).running() as started:
        yield started


def new_client(near: Portal) -> ClientKey:
    email = f"cut-{uuid.uuid4().hex}@example.com"
    near.make_developer(email)
    return ClientKey(*near.make_key(email))


def warm(portal: Portal, client: ClientKey) -> None:
    assert {OAuthClient(portal).me(client.secret).status for _ in range(10)} == {200}


def status_of(portal: Portal, client: ClientKey) -> int:
    status = OAuthClient(portal).me(client.secret).status
    assert status in (200, 401, 503)
    return status


def assert_refused_for_good(portal: Portal, client: ClientKey) -> None:
    """Wait until every worker refuses the client, and see that none ever takes it back."""
    wait_until_refused(lambda: status_of(portal, client), at_once=False)
    assert 200 not in {status_of(portal, client) for _ in range(AFTERWARDS)}


def wait_until_well(portal: Portal, client: ClientKey) -> None:
    """Wait until every worker answers this client again; each hears of a change by itself."""
    wait_until_steady(lambda: status_of(portal, client) == 200, in_a_row=IN_A_ROW)


def listening(portal: Portal) -> int:
    """Return how often a worker has begun to listen."""
    return portal.log.read_text().count(" listening for changes")


def wait_until_listening_again(portal: Portal, client: ClientKey, before: int) -> None:
    """Wait until both workers have given up a line that says nothing, and made a new one: requests make them do so."""

    def have_reconnected() -> bool:
        assert status_of(portal, client) == 200
        return listening(portal) >= before + 2

    wait_until(have_reconnected)


@pytest.mark.security("R-01")
def test_a_connection_that_is_cut_is_made_again_and_hears_everything(near: Portal, far: Portal, proxy: Proxy) -> None:
    client = new_client(near)
    for _ in range(3):
        warm(far, client)
        proxy.cut()
        near.shell(f"APIKey.objects.filter(pk='{client.id}').update(paused_at='2026-01-01T00:00:00Z')")
        assert_refused_for_good(far, client)
        near.shell(f"APIKey.objects.filter(pk='{client.id}').update(paused_at=None)")
        wait_until_well(far, client)


@pytest.mark.security("R-01")
def test_a_line_that_goes_dead_without_a_word_ends_the_lease(near: Portal, far: Portal, proxy: Proxy) -> None:
    """The listeners' connections only: what is sent into them is taken, and nothing comes back, until all is asserted.

    Nor can a new one be made meanwhile. So no worker hears of the change: a refusal comes from the want of a lease.
    """
    client, kept = new_client(near), new_client(near)
    warm(far, client)
    before = listening(far)
    proxy.deaf_to = b"LISTEN"
    assert proxy.silence(b"keyportal_") == 2  # the heartbeats of two workers
    near.revoke_key(client.id)
    assert_refused_for_good(far, client)
    warm(far, kept)
    assert listening(far) == before
    proxy.deaf_to = b""
    wait_until_listening_again(far, kept, before)
    assert status_of(far, client) == 401


@pytest.mark.finding("H49")
def test_connections_that_a_proxy_has_swallowed_cost_nobody_an_answer(near: Portal, far: Portal, proxy: Proxy) -> None:
    """The server behind it is well: each thread tries a fresh connection before anything is held back."""
    client, stranger = new_client(near), new_secret("kp", "live")
    unknown = {"Authorization": f"Bearer {stranger}"}
    threads = 2 * far.threads
    assert set(all_at_once(threads, lambda _: far.get("/gateway/auth", **unknown).status)) == {401}
    assert set(all_at_once(threads, lambda _: far.get("/keys/", Cookie=f"sessionid={'a' * 43}").status)) == {302}
    assert proxy.silence(b"") > threads
    assert set(all_at_once(threads, lambda _: far.get("/gateway/auth", **unknown).status)) == {401}
    assert set(all_at_once(threads, lambda _: status_of(far, client))) == {200}
    assert set(all_at_once(threads, lambda _: far.get("/keys/", Cookie=f"sessionid={'a' * 43}").status)) == {302}


@pytest.mark.security("R-01")
def test_a_line_that_swallows_the_first_word_is_given_up_too(near: Portal, far: Portal, proxy: Proxy) -> None:
    client = new_client(near)
    warm(far, client)
    before = listening(far)
    proxy.deaf_to = b"LISTEN"
    proxy.cut()
    wait_until_well(far, client)  # the lines of requests pass, and every one asks
    assert listening(far) == before
    proxy.deaf_to = b""
    wait_until_listening_again(far, client, before)


@pytest.mark.security("R-01")
def test_while_postgresql_restarts_nothing_stale_is_answered(near: Portal, far: Portal, cluster: Cluster) -> None:
    client, kept = new_client(near), new_client(near)
    warm(far, client)
    warm(near, client)
    cluster.stop()
    cluster.start()
    near.shell(f"APIKey.objects.filter(pk='{client.id}').update(revoked_at='2026-01-01T00:00:00Z')")
    for portal in (near, far):
        assert_refused_for_good(portal, client)
        wait_until_well(portal, kept)
        assert {status_of(portal, client) for _ in range(IN_A_ROW)} == {401}


class Storm:
    """Asks two hosts about many keys without a pause, and keeps what is let in after all have heard of its end."""

    def __init__(self, portals: list[Portal], clients: list[ClientKey]) -> None:
        self.requests = 0
        self.late: list[str] = []
        """Keys that were let in by an answer to a request that was sent after all had heard."""
        self.statuses: set[int] = set()
        self.revoked: set[str] = set()
        """Keys whose end every worker has heard of."""
        self._clients = clients
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(portal, offset)) for offset in (0, 11) for portal in portals
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, portal: Portal, number: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=DEADLINE)
        while not self._end.is_set():
            client = self._clients[number % len(self._clients)]
            number += 1
            was_revoked = client.id in self.revoked
            line.request("GET", "/gateway/auth", headers={"Authorization": f"Bearer {client.secret}"})
            answer = line.getresponse()
            answer.read()
            self.requests += 1
            self.statuses.add(answer.status)
            if answer.status == 200 and was_revoked:
                self.late.append(client.id)
        line.close()


def operator_of(portal: Portal) -> PortalUser:
    """Log an operator in."""
    portal_user = PortalUser(portal, "storm-operator@example.com")
    portal.shell(
        "u = User.objects.get(email='storm-operator@example.com'); u.is_staff = u.is_superuser = True; u.save()"
    )
    return portal_user


@pytest.mark.security("R-24")
def test_a_storm_of_revocations_leaves_no_200_behind(near: Portal, far: Portal) -> None:
    """Two hosts with two workers each; by verb, in the admin, by queryset and by SQL in turn."""
    near.make_developer("storm@example.com")
    operator = operator_of(near)
    clients = [ClientKey(*near.make_key("storm@example.com")) for _ in range(24)]
    by_verb = "from apikeys.services import revoke; from audit.origin import Origin; "
    by_verb += "revoke(key=APIKey.objects.get(pk='{key}'), reason='storm', origin=Origin.of_command('test'))"
    by_queryset = "from django.utils import timezone; "
    by_queryset += "APIKey.objects.filter(pk='{key}').update(revoked_at=timezone.now())"
    by_hand = "from django.db import connection; "
    by_hand += "connection.cursor().execute(\"UPDATE apikeys_apikey SET revoked_at = now() WHERE id = '{key}'\")"
    admin = {"form_at": "/admin/apikeys/apikey/", "action": "revoke_keys", "reason": "storm"}
    ways: list[Callable[[str], object]] = [
        lambda key: near.shell(by_verb.format(key=key)),
        lambda key: operator.post("/admin/apikeys/apikey/", _selected_action=key, **admin),
        lambda key: near.shell(by_queryset.format(key=key)),
        lambda key: near.shell(by_hand.format(key=key)),
    ]
    storm = Storm([near, far], clients)
    try:
        for number, client in enumerate(clients):
            ways[number % len(ways)](client.id)
            for portal in (near, far):
                wait_until_refused(lambda: status_of(portal, client), at_once=False, in_a_row=6)  # noqa: B023
            storm.revoked.add(client.id)
        enough = storm.requests + AFTERWARDS * len(clients)
        wait_until(lambda: storm.requests >= enough)  # for what would come late
    finally:
        storm.end()
    assert storm.statuses == {200, 401}
    assert storm.late == []
    assert {OAuthClient(portal).me(client.secret).status for portal in (near, far) for client in clients} == {401}
