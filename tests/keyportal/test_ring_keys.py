"""`rings` lists the keys of the server's rings and who needs them; `forgetringkey` forgets one that nobody needs."""

import json
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import BinaryField
from pytest_django.fixtures import Settings

from accounts.adapter import MFAAdapter
from accounts.models import User
from apikeys.models import APIKey, KeySecret
from apikeys.services import revoke
from audit.models import Event
from integrity import key_check
from integrity.models import KeyCheck
from integrity.sealed import SealedRow
from keyportal.ring_usage import INDEXED, SEALED_VALUES
from tests.conftest import ORIGIN, MakeKey, MakeUser
from vault.rings import new_entry

pytestmark = [pytest.mark.django_db, pytest.mark.finding("H42")]
STAMPED = {f"{model._meta.label}.{column}" for model, column in SEALED_VALUES}
NOT_STAMPED = {
    "accounts.MailedLink.digest": "under the index key, and gone within days",
    "apikeys.KeySecret.digest": "its row names the index key",
    "tokens.RefreshToken.digest": "its row names the index key",
    "apikeys.IdempotentAnswer.call": "a digest without a key",
    "apikeys.IdempotentAnswer.request": "a digest without a key",
    "audit.ChainLink.digest": "a digest without a key",
    "audit.ChainState.head_seal": "the seal of a link, which is counted there",
    "integrity.KeyCheck.value": "names its key",
}


@pytest.fixture(autouse=True)
def rotating(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ring has a newer key in front."""
    monkeypatch.setattr(key_check, "_stored", set())
    settings.KEYPORTAL_SEALING_KEYS = f"{new_entry('s2')},{settings.KEYPORTAL_SEALING_KEYS}"
    settings.KEYPORTAL_INDEX_KEYS = f"{new_entry('i2')},{settings.KEYPORTAL_INDEX_KEYS}"


def listed(ring: str, key_id: str) -> dict[str, object]:
    """Return what the command says of a key."""
    out = StringIO()
    call_command("rings", "--json", stdout=out)
    [found] = [use for use in json.loads(out.getvalue())["rings"] if (use["ring"], use["key_id"]) == (ring, key_id)]
    assert isinstance(found, dict)
    return found


def test_every_binary_column_is_known_to_name_a_key_or_not() -> None:
    columns = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, BinaryField) and not (issubclass(model, SealedRow) and field.name == "seal")
    }
    assert columns == STAMPED | set(NOT_STAMPED)
    assert {model._meta.label for model in INDEXED} == {
        model._meta.label for model in apps.get_models() if "index_key_id" in {f.name for f in model._meta.fields}
    }


def test_a_key_is_listed_with_the_rows_that_name_it(make_key: MakeKey) -> None:
    assert listed("index", "i2") == {
        "ring": "index",
        "key_id": "i2",
        "writes": True,
        "is_configured": True,
        "used_since": None,
        "rows": {},
    }
    make_key()
    rows = listed("sealing", "s2")["rows"]
    assert isinstance(rows, dict)
    assert rows["API keys"] == rows["key secrets"] == rows["key secrets: ciphertext"] == rows["users"] == 1
    assert rows["events"] == Event.objects.count()
    assert listed("index", "i2")["rows"] == {"key secrets": 1}
    assert listed("index", "i2")["used_since"] is not None


def test_the_seed_of_a_second_factor_names_its_key(make_user: MakeUser) -> None:
    data = {"secret": MFAAdapter().encrypt("x"), "other": "kein Stempel", "list": [1, {"seed": "AA=="}]}
    Authenticator.objects.bulk_create([Authenticator(user=make_user(), type="totp", data=data)])
    rows = listed("sealing", "s2")["rows"]
    assert isinstance(rows, dict)
    assert rows["second factors"] == 1


def test_the_list_is_readable_and_holds_no_key(make_key: MakeKey, settings: Settings) -> None:
    make_key()
    KeyCheck.objects.create(ring="index", key_id="gone", value=bytes(32))
    out = StringIO()
    call_command("rings", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("sealing s2: writes; first used 20")
    assert "index gone: missing in the settings; first used" in out.getvalue()
    assert lines[-1].startswith("signing ")
    assert "; ES256" in lines[-1] or "; HS256" in lines[-1]
    for entry in f"{settings.KEYPORTAL_SEALING_KEYS},{settings.KEYPORTAL_INDEX_KEYS}".split(","):
        assert entry.partition(":")[2] not in out.getvalue()


def test_a_key_that_rows_name_is_not_forgotten(make_key: MakeKey, settings: Settings) -> None:
    key, _ = make_key()
    newer = settings.KEYPORTAL_INDEX_KEYS
    settings.KEYPORTAL_INDEX_KEYS = f"{new_entry('i3')},{newer}"
    with pytest.raises(CommandError, match="Rows were written with it and can't be read without it: 1 key secrets"):
        call_command("forgetringkey", "index", "i2")
    revoke(key=key, reason="x", origin=ORIGIN)
    with pytest.raises(CommandError, match="Rows were written"):  # a revoked key is known to be revoked
        call_command("forgetringkey", "index", "i2")
    KeySecret.objects.all().delete()
    call_command("forgetringkey", "index", "i2", stdout=StringIO())
    assert not KeyCheck.objects.filter(ring="index", key_id="i2").exists()
    event = Event.objects.latest("id")
    assert (event.verb, event.subject_type, event.subject_id) == ("ring_key_forgotten", "ring", "index")
    assert (event.actor, event.details) == ("command:forgetringkey", {"key_id": "i2"})


def test_a_ring_that_was_only_tried_is_taken_back(make_key: MakeKey, settings: Settings) -> None:
    """A command wrote under a ring that the portal has never had, and its rows are gone."""
    KeyCheck.objects.create(ring="index", key_id="trial", value=bytes(32))
    with pytest.raises(key_check.RingMisfitError):
        key_check.confirm_rings()
    call_command("forgetringkey", "index", "trial", stdout=StringIO())
    key_check.confirm_rings()


@pytest.mark.parametrize(
    ("key_id", "why"), [("i2", "the portal writes with it"), ("never", "not written with a key of this id")]
)
def test_what_can_not_be_forgotten_is_said(key_id: str, why: str, developer: User, make_key: MakeKey) -> None:
    make_key()
    with pytest.raises(CommandError, match=why):
        call_command("forgetringkey", "index", key_id)
    assert APIKey.objects.exists()
