"""A way to the database on which a test may keep back, break or cut what is said."""

from collections.abc import Iterator

import pytest

from tests.proxy import Proxy, proxy_to
from tests.with_postgres import Cluster


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with proxy_to(cluster.port) as passing:
        yield passing
