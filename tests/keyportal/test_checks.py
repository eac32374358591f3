"""Every system check, by its id."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db.utils import ConnectionHandler
from pytest_django import Settings

from integrity.key_check import confirm_rings
from integrity.models import KeyCheck
from keyportal.checks import check_database_backend
from keyportal.databases import POSTGRESQL
from keyportal.options import attempt_limits as guards
from vault.rings import new_entry
from vault.signing_keys import new_signing_jwk


def ids() -> set[str]:
    return {str(message.id) for message in run_checks(tags=["keyportal"])}


def change(**changes: Any) -> Callable[[Settings], None]:
    def apply(settings: Settings) -> None:
        for name, value in changes.items():
            setattr(settings, name, value)

    return apply


@pytest.fixture(autouse=True)
def behind_a_proxy(settings: Settings) -> None:
    settings.KEYPORTAL_TRUSTED_PROXIES = ("10.0.0.1/32",)
    settings.KEYPORTAL_USAGE_FLUSH = 5  # which the tests' own settings switch off


SHARED = base64.b64encode(bytes(range(32))).decode()

SHARED_SIGNING = {**new_signing_jwk("HS256"), "k": SHARED.rstrip("=").replace("+", "-").replace("/", "_")}


@pytest.mark.security("P-03")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (change(), {"keyportal.W001"}),
        (change(EMAIL_CONFIGURED=True), set()),
        (change(KEYPORTAL_SEALING_KEYS=""), {"keyportal.E001", "keyportal.W001"}),
        (change(KEYPORTAL_INDEX_KEYS="x:short"), {"keyportal.E001", "keyportal.W001"}),
        (
            change(KEYPORTAL_SEALING_KEYS=f"a:{SHARED}", KEYPORTAL_INDEX_KEYS=f"b:{SHARED}"),
            {"keyportal.E002", "keyportal.W001"},
        ),
        (
            change(KEYPORTAL_SEALING_KEYS=f"a:{base64.b64encode(b'k' * 32 + bytes(range(40))).decode()}"),
            {"keyportal.W001"},
        ),
        (change(KEYPORTAL_SIGNING_KEYS=""), {"keyportal.E001", "keyportal.W001"}),
        (change(KEYPORTAL_SIGNING_KEYS="{}"), {"keyportal.E001", "keyportal.W001"}),
        (
            change(KEYPORTAL_INDEX_KEYS=f"b:{SHARED}", KEYPORTAL_SIGNING_KEYS=json.dumps(SHARED_SIGNING)),
            {"keyportal.E002", "keyportal.W001"},
        ),
        (change(KEYPORTAL_ACCESS_LIFETIME=86400), {"keyportal.E030", "keyportal.W001"}),
        (change(KEYPORTAL_LEEWAY=61), {"keyportal.E030", "keyportal.W001"}),
        (change(KEYPORTAL_REFRESH_GRACE=-1), {"keyportal.E030", "keyportal.W001"}),
        (change(KEYPORTAL_RATE_LIMIT="many"), {"keyportal.E022", "keyportal.W001"}),
        (change(CACHE_URL="memcached://cache"), {"keyportal.E023", "keyportal.W001"}),
        (change(KEYPORTAL_METRICS_NETWORKS=("nowhere",)), {"keyportal.E024", "keyportal.W001"}),
        (change(KEYPORTAL_RATE_LIMIT="10/minute", KEYPORTAL_WORKERS=2), {"keyportal.W020", "keyportal.W001"}),
        (change(KEYPORTAL_RATE_LIMIT="10/minute", KEYPORTAL_WORKERS=1), {"keyportal.W001"}),
        (
            change(KEYPORTAL_RATE_LIMIT="10/minute", KEYPORTAL_WORKERS=2, CACHE_URL="redis://cache"),
            {"keyportal.W001"},
        ),
        (change(SECRET_KEY="short"), {"keyportal.E003", "keyportal.W001"}),
        (change(SECRET_KEY="0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKL"), {"keyportal.E003", "keyportal.W001"}),
        (change(SECRET_KEY="x" * 60), {"keyportal.E003", "keyportal.W001"}),
        (change(KEYPORTAL_URL=""), {"keyportal.E004", "keyportal.W001"}),
        (change(KEYPORTAL_URL="https://portal.test/path"), {"keyportal.E004", "keyportal.W001"}),
        (change(KEYPORTAL_URL="http://portal.test"), {"keyportal.E005", "keyportal.W001"}),
        (change(KEYPORTAL_LOCAL=True), {"keyportal.E006"}),
        (change(KEYPORTAL_LOCAL=True, KEYPORTAL_URL="http://127.0.0.1:8000"), set()),
        (change(DEBUG=True), {"keyportal.E007", "keyportal.W001"}),
        (change(KEYPORTAL_AUDIT_DAYS=-1), {"keyportal.E040", "keyportal.W001"}),
        (change(KEYPORTAL_AUDIT_DAYS=36_501), {"keyportal.E040", "keyportal.W001"}),
        (change(KEYPORTAL_AUDIT_DAYS=36_500), {"keyportal.W001"}),
        (change(KEYPORTAL_REVEAL="always"), {"keyportal.E010", "keyportal.W001"}),
        (change(KEYPORTAL_BRAND="Kp-1"), {"keyportal.E011", "keyportal.W001"}),
        (change(KEYPORTAL_TRUSTED_PROXIES=()), {"keyportal.W021", "keyportal.W001"}),
        (change(KEYPORTAL_TRUSTED_PROXIES=(), KEYPORTAL_ENDS_TLS=True), {"keyportal.W001"}),
        (change(SECRET_KEY_FALLBACKS=["short"]), {"keyportal.E003", "keyportal.W001"}),
        (change(SECRET_KEY_FALLBACKS=["0123456789abcdef" * 4]), {"keyportal.W001"}),
        (change(KEYPORTAL_MAX_KEYS=0), {"keyportal.E040", "keyportal.W001"}),
        (change(KEYPORTAL_STRAY_NAMES=("A is no setting",)), {"keyportal.W040", "keyportal.W001"}),
        (change(KEYPORTAL_TRUSTED_PROXIES=("10.0.0.1/8",)), {"keyportal.E020", "keyportal.W001"}),
        (change(KEYPORTAL_TRUSTED_PROXIES=("0.0.0.0/0",)), {"keyportal.E021", "keyportal.W001"}),
        (change(KEYPORTAL_PLAIN_HTTP_NETWORKS=("10.0.0.1/8",)), {"keyportal.E025", "keyportal.W001"}),
        (change(KEYPORTAL_PLAIN_HTTP_NETWORKS=("10.0.0.0/8", "::/0")), {"keyportal.E026", "keyportal.W001"}),
        (change(KEYPORTAL_PLAIN_HTTP_NETWORKS=("10.0.0.0/7",)), {"keyportal.W022", "keyportal.W001"}),
        (change(KEYPORTAL_PLAIN_HTTP_NETWORKS=("203.0.113.1",)), {"keyportal.W022", "keyportal.W001"}),
        (change(KEYPORTAL_PLAIN_HTTP_NETWORKS=("10.1.0.0/16", "fd00::/8")), {"keyportal.W001"}),
    ],
)
def test_a_check_finds_its_mistake_and_no_other(
    settings: Settings, change: Callable[[Settings], None], expected: set[str]
) -> None:
    change(settings)
    assert ids() == expected


@pytest.mark.parametrize("option", [option.name for options in guards.GROUPS.values() for option in options])
@pytest.mark.parametrize("limit", ["0/minute", "none", "5 per minute; 9 per hour"])
def test_each_limit_of_attempts_is_a_rate(settings: Settings, option: str, limit: str) -> None:
    setattr(settings, option, limit)
    assert "keyportal.E022" in ids()


def test_a_secret_key_that_is_a_signing_key_is_found(settings: Settings) -> None:
    jwk = new_signing_jwk("HS256")
    settings.KEYPORTAL_SIGNING_KEYS = json.dumps(jwk)
    settings.SECRET_KEY = base64.b64encode(base64.urlsafe_b64decode(jwk["k"] + "=")).decode()
    assert "keyportal.E002" in ids()


@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
def test_a_secret_key_that_is_a_ring_key_is_found(settings: Settings, name: str) -> None:
    key = base64.b64encode(bytes(range(48))).decode()
    settings.KEYPORTAL_SEALING_KEYS = f"s1:{key}"
    setattr(settings, name, key if name == "SECRET_KEY" else [key])
    assert "keyportal.E002" in ids()


@pytest.mark.django_db
def test_rings_that_do_not_fit_the_database_are_found(settings: Settings) -> None:
    def database_ids() -> set[str]:
        return {str(message.id) for message in run_checks(tags=["database"], databases=["default"])}

    confirm_rings()
    assert database_ids() == set()
    assert KeyCheck.objects.count() == 2
    settings.KEYPORTAL_INDEX_KEYS = new_entry("i1")
    assert database_ids() == {"keyportal.E008"}
    settings.KEYPORTAL_INDEX_KEYS = new_entry("i2")
    assert database_ids() == {"keyportal.E008"}


@pytest.mark.parametrize(
    ("engine", "errors"), [(POSTGRESQL, []), ("django.db.backends.postgresql", ["keyportal.E044"])]
)
def test_postgresql_is_reached_by_the_portal_s_backend(
    engine: str, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = ConnectionHandler({"default": {"ENGINE": engine, "NAME": "x"}})
    monkeypatch.setattr("keyportal.checks.connections", handler)
    assert [found.id for found in check_database_backend(None)] == errors
