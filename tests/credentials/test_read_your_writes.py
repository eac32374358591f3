"""The client that gets the answer to a change finds it in force in the worker that answered, however late it hears."""

from collections.abc import Callable, Iterator

import pytest

from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.portal_user import PortalUser
from tests.proxy import Proxy
from tests.staleness import IN_A_ROW
from tests.waiting import wait_until
from tests.with_postgres import Cluster

# The other database: test_database_file, where every request looks by itself.
pytestmark = [pytest.mark.once, pytest.mark.postgresql, pytest.mark.finding("H14"), pytest.mark.finding("F")]

OWNER, OPERATOR = "applied@example.com", "applied-operator@example.com"
Revoke = Callable[[], object]


@pytest.fixture(scope="module")
def site(cluster: Cluster, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """One worker, so that the one that answers is the one that is asked next."""
    folder = tmp_path_factory.mktemp("applied")
    url = cluster.url.replace(f":{cluster.port}/", f":{proxy.port}/")
    opened = {"KEYPORTAL_METRICS_NETWORKS": "127.0.0.1/32", "KEYPORTAL_METRICS_DIR": str(folder / "metrics")}
    with Portal(folder, url, **opened).running(workers=1) as portal:
        for email in (OWNER, OPERATOR):
            portal.make_developer(email)
        portal.shell(f"u = User.objects.get(email='{OPERATOR}'); u.is_staff = u.is_superuser = True; u.save()")
        yield portal


def metric(site: Portal, name: str) -> float:
    lines = site.get("/metrics").body.decode().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


def is_from_cache(site: Portal, client: ClientKey) -> bool:
    """Use the key, and return whether it was let in without a query."""
    hits = metric(site, "keyportal_cache_hits_total")
    assert OAuthClient(site).me(client.secret).status == 200
    return metric(site, "keyportal_cache_hits_total") > hits


def by_the_api(site: Portal, client: ClientKey) -> Revoke:
    headers = {"Authorization": f"Bearer {client.secret}"}
    return lambda: site.request("DELETE", "/api/v1/tokens", headers=headers)


def on_its_page(site: Portal, client: ClientKey) -> Revoke:
    owner = PortalUser.again(site, OWNER)
    token = owner.field(f"/keys/{client.id}/", "csrfmiddlewaretoken")
    # Its name must be typed as soon as somebody has counted that it is used.
    return lambda: owner.post(f"/keys/{client.id}/revoke/", token=token, reason="test", typed="a key")


def in_the_admin(site: Portal, client: ClientKey) -> Revoke:
    operator, form = PortalUser.again(site, OPERATOR), "/admin/apikeys/apikey/"
    token = operator.field(form, "csrfmiddlewaretoken")
    return lambda: operator.post(form, token=token, action="revoke_keys", reason="x", _selected_action=client.id)


@pytest.mark.parametrize("way", [by_the_api, on_its_page, in_the_admin])
def test_the_answer_to_a_revocation_comes_when_it_holds(
    site: Portal, proxy: Proxy, way: Callable[[Portal, ClientKey], Revoke]
) -> None:
    """What the listener would hear is kept back, while its lease goes on: only the wait for it makes the difference."""
    client = ClientKey(*site.make_key(OWNER))
    revoke = way(site, client)
    wait_until(lambda: is_from_cache(site, client))
    assert proxy.hold() == 1
    try:
        assert is_from_cache(site, client)
        revoke()
        assert {OAuthClient(site).me(client.secret).status for _ in range(IN_A_ROW)} == {401}
    finally:
        proxy.let_go()


def test_a_change_that_is_applied_in_time_leaves_the_rest_of_the_cache(site: Portal) -> None:
    client, other = (ClientKey(*site.make_key(OWNER)) for _ in range(2))
    wait_until(lambda: is_from_cache(site, client) and is_from_cache(site, other))
    by_the_api(site, client)()
    assert OAuthClient(site).me(client.secret).status == 401
    assert is_from_cache(site, other)
