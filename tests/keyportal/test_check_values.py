"""Check values of ring keys are stored with the first row under the key, and by nothing that only reads."""

from collections.abc import Callable

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import links
from apikeys.models import APIKey, KeySecret
from audit.models import Event
from credentials import background
from gateway.verification import verify_any
from integrity import key_check
from integrity.key_check import RingMisfitError, confirm_rings, index_key_to_write, sealing_ring_to_write
from integrity.models import KeyCheck
from integrity.sealing import unseal_value
from keyportal.mailer import Mailer
from tests.conftest import MakeKey
from tests.portal import Portal
from tokens.identification import refresh_token_of, secret_of
from tokens.models import RefreshToken
from vault.digests import stamp
from vault.errors import UnknownKeyError
from vault.rings import new_entry
from vault.secret_format import new_secret

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H42")]


def stored() -> set[str]:
    """Return the keys whose check values the database holds."""
    return {str(check) for check in KeyCheck.objects.all()}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process does not know yet what is stored, as at its start."""
    monkeypatch.setattr(key_check, "_stored", set())


@pytest.fixture
def trial(settings: Settings) -> None:
    """Rings whose first keys nothing was written under."""
    settings.KEYPORTAL_SEALING_KEYS = f"{new_entry('s2')},{settings.KEYPORTAL_SEALING_KEYS}"
    settings.KEYPORTAL_INDEX_KEYS = f"{new_entry('i2')},{settings.KEYPORTAL_INDEX_KEYS}"


def test_who_tries_a_ring_leaves_no_trace(trial: None, client: Client) -> None:
    before = stored()
    confirm_rings()
    run_checks(tags=["keyportal", "database"], databases=["default"])
    call_command("check", databases=["default"])
    assert client.get("/readyz", secure=True).status_code == 200
    assert client.get("/accounts/login/", secure=True).status_code == 200
    assert stored() == before
    assert not before & {"sealing:s2", "index:i2"}


def test_the_first_row_under_a_key_stores_its_check_value(trial: None, make_key: MakeKey) -> None:
    make_key()
    assert stored() >= {"sealing:s2", "index:i2"}
    assert KeySecret.objects.get().index_key_id == "i2"


def test_what_is_rolled_back_is_stored_with_the_next_row(trial: None) -> None:
    with transaction.atomic():
        index_key_to_write()
        transaction.set_rollback(True)
    assert "index:i2" not in stored()
    index_key_to_write()
    assert "index:i2" in stored()


def test_of_two_keys_with_one_id_only_the_first_writes(settings: Settings) -> None:
    for ring, write in (("SEALING", sealing_ring_to_write), ("INDEX", index_key_to_write)):
        setattr(settings, f"KEYPORTAL_{ring}_KEYS", new_entry("new"))
        write()
        setattr(settings, f"KEYPORTAL_{ring}_KEYS", new_entry("new"))
        with pytest.raises(RingMisfitError, match=r"key 'new' of the .* ring is not the one that the database was"):
            write()


def test_a_check_value_that_was_removed_is_stored_again(
    trial: None, django_capture_on_commit_callbacks: object
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # pytest-django's fixture
        index_key_to_write()
    KeyCheck.objects.filter(key_id="i2").delete()
    index_key_to_write()
    assert "index:i2" not in stored()  # this process believes that it is there
    confirm_rings()  # as it does when the removal is announced
    index_key_to_write()
    assert "index:i2" in stored()


def test_every_row_that_is_found_by_an_index_key_names_it() -> None:
    for model in (KeySecret, RefreshToken):
        assert model._meta.get_field("index_key_id")


@pytest.fixture
def written_elsewhere(trial: None, settings: Settings, make_key: MakeKey) -> str:
    """A key's secret that a host with newer rings has made; this process has the rings of before."""
    newer = {name: getattr(settings, name) for name in ("KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS")}
    _, secret = make_key()
    for name, ring in newer.items():
        setattr(settings, name, ring.partition(",")[2])
    return secret


def test_what_another_host_wrote_under_a_key_that_is_missing_here_is_not_called_unknown(
    written_elsewhere: str, settings: Settings, client: Client
) -> None:
    looks: list[Callable[[], object]] = [
        lambda: verify_any(written_elsewhere, address=None),
        lambda: secret_of(written_elsewhere),
        lambda: refresh_token_of(new_secret("kp", "refresh")),
        lambda: links.find(links.RESET, "x"),
    ]
    for look in looks:
        with pytest.raises(RingMisfitError, match=r"the (index|sealing) ring lacks the key"):
            look()
    answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {written_elsewhere}"}, secure=True)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_a_row_under_a_key_that_is_missing_here_is_not_called_forged(written_elsewhere: str) -> None:
    for row in (APIKey.objects.get(), KeySecret.objects.get(), Event.objects.latest("id")):
        with pytest.raises(RingMisfitError):
            row.seal_is_valid()
    with pytest.raises(RingMisfitError):
        unseal_value(bytes(KeySecret.objects.get().ciphertext or b""), [])


def test_a_row_that_names_a_key_which_nobody_has_is_forged(make_key: MakeKey) -> None:
    key, _ = make_key()
    key.seal = stamp(1, "nobody") + bytes(32)
    assert not key.seal_is_valid()
    with pytest.raises(UnknownKeyError):
        unseal_value(stamp(1, "nobody") + bytes(60), [])


def test_nothing_is_done_in_the_background_without_the_rings(
    written_elsewhere: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("credentials.background", "keyportal.mailer"):  # the connection of the test is in a transaction
        monkeypatch.setattr(f"{module}.close_old_connections", lambda: None)
    assert not background.BackgroundThread()._can_query()
    assert "usage is waiting for matching key rings: the sealing ring lacks the key 's2'" in caplog.text
    with pytest.raises(RingMisfitError):
        Mailer()._send()


def test_a_command_without_the_rings_says_so_in_a_line(portal: Portal) -> None:
    rings = {name: new_entry("x1") for name in ("KEYPORTAL_SEALING_KEYS", "KEYPORTAL_INDEX_KEYS")}
    portal.make_developer("rings@example.com")
    other = Portal(portal.folder, **{"database_url": portal.environment["DATABASE_URL"], **portal.environment, **rings})
    ended = other.start_command("createkey", "rings@example.com", "--name", "x")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("keyportal: the sealing ring lacks the key 's1'")
    assert "Traceback" not in ended.stderr
