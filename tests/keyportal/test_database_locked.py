"""SQLite while another process writes for a long time: reads are answered, writes are told to come back."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import Portal

pytestmark = pytest.mark.once


@pytest.mark.security("R-34")
def test_while_the_file_is_locked_verdicts_go_on_and_writes_are_503(portal: Portal, oauth_client: OAuthClient) -> None:
    portal.make_developer("locked@example.com")
    known, unknown = (ClientKey(*portal.make_key("locked@example.com")) for _ in range(2))
    pair = oauth_client.log_in("locked@example.com")
    assert oauth_client.me(known.secret).status == 200
    path = portal.environment["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for client in (known, unknown):
            assert {oauth_client.me(client.secret).status for _ in range(8)} == {200}
        refused = oauth_client.refresh(pair["refresh_token"])
        assert (refused.status, json.loads(refused.body)["error"]) == (503, "temporarily_unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        other.execute("ROLLBACK")  # the lock was held until everybody had an answer
    assert oauth_client.refresh(pair["refresh_token"]).status == 200  # nothing was half done
