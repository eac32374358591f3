"""TLS to PostgreSQL and to Redis, by their addresses alone, for every connection of a worker."""

from pathlib import Path
from subprocess import CalledProcessError

import psycopg
import pytest

from tests.certificates import new_certificate
from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal
from tests.redis_server import redis_server
from tests.with_postgres import Cluster, postgres_cluster

pytestmark = [pytest.mark.once, pytest.mark.postgresql, pytest.mark.redis]
OF_THE_PORTAL = """\
SELECT count(*), bool_and(ssl) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE datname = 'keyportal'"""


def encrypted_only(cluster: Cluster) -> Path:
    """Restart it so that it speaks TLS only; return the certificate that vouches for it."""
    trusted = cluster.encrypt()
    cluster.stop()
    cluster.start()
    return trusted


@pytest.mark.security("K-09")
def test_a_portal_whose_addresses_ask_for_tls_says_nothing_in_clear(tmp_path: Path) -> None:
    with postgres_cluster() as cluster, redis_server(tls=True) as store:
        checked = f"{cluster.url}?sslmode=verify-full&sslrootcert={encrypted_only(cluster)}"
        limits = {"KEYPORTAL_RATE_LIMIT": "20/hour", "CACHE_URL": store.url}
        with Portal(tmp_path, checked, **limits).running() as site:
            site.make_developer("tls@example.com")
            client = ClientKey(*site.make_key("tls@example.com"))
            answers = [OAuthClient(site).me(client.secret) for _ in range(8)]
            assert {answer.status for answer in answers} == {200}
            left = [answer.headers["ratelimit"].partition("r=")[2].partition(";")[0] for answer in answers]
            assert left == [str(20 - number) for number in range(1, 9)]  # both workers count there
            assert site.log.read_text().count(" listening for changes") == 2
            with psycopg.connect(checked.replace("postgres://", "postgresql://"), autocommit=True) as own:
                count, encrypted = own.execute(OF_THE_PORTAL).fetchone() or (0, False)
            assert count >= 2 + 2  # for requests and for listening, of each worker
            assert encrypted
        stranger = tmp_path / "stranger.crt"
        stranger.write_bytes(new_certificate("127.0.0.1")[0])
        with pytest.raises(CalledProcessError):
            Portal(tmp_path, f"{cluster.url}?sslmode=verify-full&sslrootcert={stranger}").command("migrate")
