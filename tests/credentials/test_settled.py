"""Who gets the answer to a change finds it in force in the process that gave it, also when notices take their time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portal import Portal
from tests.proxy import proxy_to
from tests.speaker import Client, Speaker
from tests.waiting import wait_until_steady
from tests.with_postgres import Cluster, postgres_cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql, pytest.mark.finding("F")]
LATE = 0.05
"""Seconds for which each notice is on its way: many times as long as a question takes."""
REVOCATIONS = 20
OWNER = "settled@example.com"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def slow_of_hearing(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal of one worker to which notices come late, and nothing else does."""
    folder: Path = tmp_path_factory.mktemp("settled")
    with proxy_to(cluster.port) as proxy:
        proxy.delay = LATE
        listen = cluster.url.replace(f":{cluster.port}/", f":{proxy.port}/")
        with Portal(folder, cluster.url, KEYPORTAL_LISTEN_URL=listen).running(workers=1) as portal:
            portal.make_developer(OWNER)
            yield portal


def test_the_next_question_after_a_revocation_is_refused(slow_of_hearing: Portal) -> None:
    speaker = Speaker(slow_of_hearing)
    fresh = 0
    for _ in range(REVOCATIONS):
        client = Client(*slow_of_hearing.make_key(OWNER))
        wait_until_steady(lambda client=client: speaker.me(client.secret).status == 200, in_a_row=3)  # type: ignore[misc]
        ended = slow_of_hearing.request(
            "DELETE", "/api/v1/tokens", headers={"Authorization": f"Bearer {client.secret}"}
        )
        assert ended.status == 204
        fresh += speaker.me(client.secret).status == 401
    # Not all: on a busy machine the wait for a notice may be over before it comes. Without any wait it is none or two.
    assert fresh > REVOCATIONS / 2
