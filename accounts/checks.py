"""System checks of the accounts room: the configuration that must be right before anything is answered."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.db import DEFAULT_DB_ALIAS, connections

from accounts.canaries import RingMisfitError, confirm_rings
from accounts.models import RingCanary
from accounts.rings import index_ring, sealing_ring, signing_ring
from vault.errors import RingError
from vault.rings import KeyRing
from vault.signing_keys import SigningRing

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SECRET_KEY_LENGTH = 50
SECRET_KEY_VARIETY = 10
AUDIT_DAYS = 36_500  # a hundred years
RINGS: Mapping[str, Callable[[], object]] = {
    "KEYPORTAL_SEALING_KEYS": sealing_ring,
    "KEYPORTAL_INDEX_KEYS": index_ring,
    "KEYPORTAL_SIGNING_KEYS": signing_ring,
}


@register("keyportal")
def check_rings(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E001: a ring is missing or written wrongly. E002: one secret serves two purposes."""
    errors: list[CheckMessage] = []
    for name, read in RINGS.items():
        try:
            read()
        except RingError as error:
            errors.append(Error(f"{name}: {error}.", hint="`manage.py newkey` makes an entry.", id="keyportal.E001"))
    return errors or _shared_material([sealing_ring(), index_ring()], signing_ring())


@register("keyportal")
def check_secret_key(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E003: SECRET_KEY is short or a sample."""
    key = settings.SECRET_KEY
    if len(key) >= SECRET_KEY_LENGTH and len(set(key)) >= SECRET_KEY_VARIETY and not key.startswith("django-insecure-"):
        return []
    return [Error(f"SECRET_KEY must be at least {SECRET_KEY_LENGTH} random characters.", id="keyportal.E003")]


@register("keyportal")
def check_url(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E004: KEYPORTAL_URL is no base address. E005: it is not https, and this is not local mode."""
    url = urlsplit(settings.KEYPORTAL_URL)
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/") or url.query or url.fragment:
        return [
            Error("KEYPORTAL_URL must be the portal's address, such as https://keys.example.com.", id="keyportal.E004")
        ]
    if url.scheme == "http" and not settings.KEYPORTAL_LOCAL:
        return [Error("KEYPORTAL_URL must be https: keys travel over it.", id="keyportal.E005")]
    return []


@register("keyportal")
def check_local_mode(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E006: local mode, which shows every message to anyone, on an address that others can reach. E007: DEBUG."""
    messages: list[CheckMessage] = []
    if settings.KEYPORTAL_LOCAL and urlsplit(settings.KEYPORTAL_URL).hostname not in LOOPBACK:
        messages.append(Error("KEYPORTAL_LOCAL shows all messages to anyone: loopback only.", id="keyportal.E006"))
    if settings.DEBUG:
        messages.append(Error("DEBUG shows secrets in error pages; keyportal runs without it.", id="keyportal.E007"))
    return messages


@register("keyportal")
def check_mail(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """W001: no mail server is named, so nobody can confirm an address."""
    if settings.KEYPORTAL_LOCAL or settings.EMAIL_CONFIGURED:
        return []
    return [Caution("EMAIL_URL is not set: messages go to localhost:25.", id="keyportal.W001")]


@register("keyportal")
def check_audit(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """E012: KEYPORTAL_AUDIT_DAYS is no number of days."""
    if 0 <= settings.KEYPORTAL_AUDIT_DAYS <= AUDIT_DAYS:
        return []
    return [Error(f"KEYPORTAL_AUDIT_DAYS must be 0 (for ever) to {AUDIT_DAYS}.", id="keyportal.E012")]


@register(Tags.database)
def check_canaries(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **options: Any
) -> list[CheckMessage]:
    """E008: the rings are not those that the database was written with."""
    if not databases or check_rings(None):
        return []
    if RingCanary._meta.db_table not in connections[DEFAULT_DB_ALIAS].introspection.table_names():
        return []  # `migrate` runs this check too, before there is a table
    try:
        confirm_rings()
    except RingMisfitError as error:
        return [Error(f"{error}.", hint="Give the process the rings it had before.", id="keyportal.E008")]
    return []


def _shared_material(rings: Sequence[KeyRing], signing: SigningRing) -> list[CheckMessage]:
    named = [(f"{ring.name}:{key.id}", key) for ring in rings for key in ring]
    messages: list[CheckMessage] = []
    for signing_key in signing:
        is_secret_key = any(map(signing_key.same_material, _spellings(settings.SECRET_KEY)))
        if is_secret_key or signing_key.is_material_of(other for _, other in named):
            messages.append(
                Error(f"signing:{signing_key.id} is also another secret of the server.", id="keyportal.E002")
            )
    for position, (name, key) in enumerate(named):
        twins = [other for other, twin in named[:position] if twin.same_material_as(key)]
        if any(key.same_material(raw) for raw in _spellings(settings.SECRET_KEY)):
            twins.append("SECRET_KEY")
        messages += [Error(f"{name} and {twin} are the same secret.", id="keyportal.E002") for twin in twins]
    return messages


def _spellings(secret: str) -> list[bytes]:
    """Give the bytes that SECRET_KEY stands for: as it is, and read as base64 as a ring reads it."""
    raw = secret.encode()
    try:
        return [raw, base64.b64decode(raw, validate=True)]
    except binascii.Error:
        return [raw]
