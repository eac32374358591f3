"""How far a programmer must read: the files and lines of the portal that one Bearer credential enters, all of them."""

import json
import re
import secrets
from typing import Final

import pytest

from tests.oauth_client import ClientKey, OAuthClient
from tests.portal import ROOT, Portal

ENTERED: Final = """
import inspect, json, sys
from pathlib import Path
from django.db import connection
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory
from apikeys.authentication import APIKeyAuthentication
from credentials.verified_cache.freshness import freshness
from tests.waiting import wait_until
from tokens.authentication import AccessTokenAuthentication

ROOMS = ("accounts", "apikeys", "audit", "credentials", "gateway", "integrity", "keyportal", "tokens", "vault")

def entered(kind, credential):
    codes = set()

    def note(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to({root!r}) and path.relative_to({root!r}).parts[0] in ROOMS:
            codes.add(frame.f_code)

    request = Request(APIRequestFactory().get("/", headers={{"Authorization": "Bearer " + credential}}))
    sys.setprofile(note)
    try:
        kind().authenticate(request)
    finally:
        sys.setprofile(None)
    found = {{}}
    for code in codes:
        if code.co_name[0] != "<" or code.co_name == "<lambda>":
            name = str(Path(code.co_filename).relative_to({root!r}))
            found[name] = found.get(name, 0) + len(inspect.getsource(code).splitlines())
    return found

def again(kind, credential):
    # A connection that is opened once more, as when another process has replaced the log, is not on the walk.
    while True:
        freshness().cache.clear()
        open_before = connection.connection
        found = entered(kind, credential)
        if open_before is not None and connection.connection is open_before:
            return found

def steady(kind, credential):
    # Asked until the process is warm: what is made once a process is not on the walk.
    wait_until(lambda: freshness().current() is not None)
    for _ in range(2):
        again(kind, credential)
    # A database file that has just been written is asked once more, and five times a second the file is looked at.
    samples = [again(kind, credential) for _ in range(20)]
    cold, seen = min(samples, key=len), set().union(*samples)
    wait_until(lambda: len(entered(kind, credential)) < len(cold))
    warm = min((entered(kind, credential) for _ in range(10)), key=len)
    look = "credentials/verified_cache/database_log.py"
    if connection.vendor == "sqlite":
        wait_until(lambda: look in seen or seen.update(again(kind, credential)))
    return cold, warm, sorted(seen)

print(json.dumps([steady(APIKeyAuthentication, {secret!r}), steady(AccessTokenAuthentication, {token!r})]))
"""
VERDICT: Final = [
    *("credentials/bearer.py", "apikeys/authentication.py", "apikeys/verification.py", "vault/digests.py"),
    "credentials/record.py",
]
Walk = dict[str, int]
Walks = list[tuple[Walk, Walk, list[str]]]


@pytest.fixture(scope="module")
def walks(portal: Portal) -> Walks:
    """Return, for a key and for a token, the entered lines by file, and every file that is entered now and then.

    The lines are those of a verdict that queries the database, and of one from the cache.
    """
    email = f"walks-{secrets.token_hex(4)}@example.com"
    portal.make_developer(email)
    client = ClientKey(*portal.make_key(email))
    token = OAuthClient(portal).client_token(client)
    script = ENTERED.format(root=str(ROOT), secret=client.secret, token=token)
    return [tuple(pair) for pair in json.loads(portal.shell(script).splitlines()[-1])]


def files_in(heading: str) -> set[str]:
    """Return the files that a section of the architecture page names."""
    page = (ROOT / "docs/architecture.md").read_text()
    section = page.partition(f"## {heading}")[2].partition("\n## ")[0]
    return set(re.findall(r"`([a-z_]+/[\w/]+\.py)`", section))


def test_the_verdict_itself_is_five_files_and_four_hundred_lines(walks: Walks) -> None:
    walk = (ROOT / "docs/architecture.md").read_text().partition("## Walk 1")[2].partition("\n## ")[0]
    assert re.findall(r"^\d\. `([\w/]+\.py)`", walk, re.MULTILINE) == VERDICT
    (cold, _, _), _ = walks
    assert sum(cold[file] for file in VERDICT) <= 400


def test_a_key_is_read_in_sixteen_files_and_a_thousand_lines(walks: Walks) -> None:
    (cold, _, seen), _ = walks
    assert len(cold) <= 16, cold
    assert sum(cold.values()) <= 1000, cold
    assert set(seen) - set(cold) <= {"credentials/verified_cache/database_log.py"}
    untold = set(seen) - files_in("Walk 1")
    assert untold == set(), "the architecture page tells all of it"


def test_a_token_adds_ten_files(walks: Walks) -> None:
    (of_key, _, _), (cold, warm, seen) = walks
    assert len(set(cold) - set(of_key)) <= 10, cold
    assert len(warm) <= 12, warm
    untold = set(seen) - files_in("Walk 1") - files_in("Walk 2")
    assert untold == set(), "the architecture page tells all of it"
