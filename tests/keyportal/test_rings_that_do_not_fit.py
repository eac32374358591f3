"""Under rings that the database was not written with nothing is answered: every key would be called unknown."""

import pytest
from django.test import Client

from apikeys.verification import verify
from credentials.verified_cache.freshness import freshness
from integrity.key_check import RingMisfitError, confirm_rings
from integrity.models import KeyCheck
from tests.conftest import MakeKey

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H43")]


@pytest.fixture
def secret(make_key: MakeKey) -> str:
    """A secret of a database that is another one by now: its index ring has another key under the same id."""
    confirm_rings()
    secret: str = make_key()[1]
    assert verify(secret, address=None).credential.name
    assert KeyCheck.objects.filter(ring="index").update(value=bytes(32)) == 1
    freshness().lease.switch_database()
    return secret


def test_no_page_is_answered(secret: str, client: Client) -> None:
    client.raise_request_exception = False
    assert client.get("/accounts/login/", secure=True).status_code == 503
    assert client.get("/healthz", secure=True).status_code == 200
    assert client.get("/.well-known/jwks.json", secure=True).status_code == 200  # it asks no database


def test_no_verdict_is_given(secret: str) -> None:
    with pytest.raises(RingMisfitError):
        verify(secret, address=None)


def test_each_request_looks_first_which_database_it_is(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    for look in ("open_current", "confirm_rings"):
        monkeypatch.setattr(freshness(), look, lambda look=look: looks.append(look))
    assert client.get("/healthz", secure=True).status_code == 200
    assert client.get("/.well-known/jwks.json", secure=True).status_code == 200  # it asks no database
    assert looks == []  # it asks nobody
    assert client.get("/accounts/login/", secure=True).status_code == 200
    assert looks == ["open_current", "confirm_rings"]
