"""System checks for key rings, SECRET_KEY, the portal's URL, local mode and mail."""

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

from integrity.key_check import RingMisfitError, confirm_rings
from integrity.models import KeyCheck
from integrity.rings import index_ring, sealing_ring, signing_ring
from vault.errors import RingError
from vault.rings import KeyRing
from vault.signing_keys import SigningRing

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SECRET_KEY_LENGTH = 50
SECRET_KEY_VARIETY = 10
RINGS: Mapping[str, Callable[[], object]] = {
    "KEYPORTAL_SEALING_KEYS": sealing_ring,
    "KEYPORTAL_INDEX_KEYS": index_ring,
    "KEYPORTAL_SIGNING_KEYS": signing_ring,
}


@register("keyportal")
def check_rings(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E001 if a ring is missing or invalid, E002 if one secret serves two purposes."""
    errors: list[CheckMessage] = []
    for name, read in RINGS.items():
        try:
            read()
        except RingError as error:
            hint = "Without it, keys can't be created, found or checked. `manage.py newkey` makes an entry."
            errors.append(Error(f"{name}: {error}.", hint=hint, id="keyportal.E001"))
    return errors or _find_shared_material([sealing_ring(), index_ring()], signing_ring())


@register("keyportal")
def check_secret_key(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E003 if SECRET_KEY or one of its fallbacks is short, not random or a sample."""
    hint = "Anyone who guesses it can forge links in messages. `openssl rand -base64 48` makes another."
    keys = {"SECRET_KEY": [settings.SECRET_KEY], "SECRET_KEY_FALLBACKS": settings.SECRET_KEY_FALLBACKS}
    return [
        Error(f"{name} must be at least {SECRET_KEY_LENGTH} random characters.", hint=hint, id="keyportal.E003")
        for name, texts in keys.items()
        if not all(map(_is_random, texts))
    ]


@register("keyportal")
def check_url(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E005 if KEYPORTAL_URL is not https outside local mode."""
    if settings.KEYPORTAL_LOCAL or urlsplit(settings.KEYPORTAL_URL).scheme != "http":
        return []
    hint = "Put a proxy that terminates TLS in front of the portal. Plain http is for local mode only, on one machine."
    return [Error("KEYPORTAL_URL must be https, because keys are sent over it.", hint=hint, id="keyportal.E005")]


@register("keyportal")
def check_local_mode(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E006 if local mode, which shows all messages to anyone, is not on a loopback address; E007 for DEBUG."""
    messages: list[CheckMessage] = []
    if settings.KEYPORTAL_LOCAL and urlsplit(settings.KEYPORTAL_URL).hostname not in LOOPBACK:
        hint = "Remove KEYPORTAL_LOCAL, or use 127.0.0.1 or localhost in KEYPORTAL_URL."
        text = "KEYPORTAL_LOCAL shows all messages to anyone, so it is for loopback only."
        messages.append(Error(text, hint=hint, id="keyportal.E006"))
    if settings.DEBUG:
        hint = "Remove DEBUG from the settings module."
        text = "DEBUG shows secrets in error pages, so keyportal does not run with it."
        messages.append(Error(text, hint=hint, id="keyportal.E007"))
    return messages


@register("keyportal")
def check_mail(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return W001 if no mail server is configured, so that addresses can't be confirmed."""
    if settings.KEYPORTAL_LOCAL or settings.EMAIL_CONFIGURED:
        return []
    hint = (
        "Unless a mail server listens there, users can't confirm an address or reset a password. Name yours; if it is "
        "that one, set EMAIL_URL=smtp://localhost:25."
    )
    return [Caution("EMAIL_URL is not set, so messages go to localhost:25.", hint=hint, id="keyportal.W001")]


@register(Tags.database)
def check_key_rings_fit(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **options: Any
) -> list[CheckMessage]:
    """Return E008 if the rings are not those that the database was written with."""
    if not databases or check_rings(None):
        return []
    if KeyCheck._meta.db_table not in connections[DEFAULT_DB_ALIAS].introspection.table_names():
        return []  # `migrate` runs this check before the table exists
    try:
        confirm_rings()
    except RingMisfitError as error:
        hint = "Every key would be refused as unknown. Start the process with the rings that it had before."
        return [Error(f"{error}.", hint=hint, id="keyportal.E008")]
    return []


def _find_shared_material(rings: Sequence[KeyRing], signing: SigningRing) -> list[CheckMessage]:
    named = [(f"{ring.name}:{key.id}", key) for ring in rings for key in ring]
    of_django = [raw for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS) for raw in _spellings(secret)]
    messages = [
        _same(f"signing:{key.id}", "another of the server's secrets")
        for key in signing
        if any(map(key.same_material, of_django)) or key.is_material_of(other for _, other in named)
    ]
    for position, (name, key) in enumerate(named):
        twins = [other for other, twin in named[:position] if twin.same_material_as(key)]
        if any(map(key.same_material, of_django)):
            twins.append("SECRET_KEY")
        messages += [_same(name, twin) for twin in twins]
    return messages


def _same(one: str, other: str) -> CheckMessage:
    hint = "Anyone who learns one has both. Give each its own secret: `manage.py newkey` makes an entry."
    return Error(f"{one} and {other} are the same secret.", hint=hint, id="keyportal.E002")


def _is_random(key: str) -> bool:
    is_sample = key.startswith("django-insecure-")
    return len(key) >= SECRET_KEY_LENGTH and len(set(key)) >= SECRET_KEY_VARIETY and not is_sample


def _spellings(secret: str) -> list[bytes]:
    """Return the bytes that the secret may stand for: its text, and the text decoded from base64 as in a ring."""
    raw = secret.encode()
    try:
        return [raw, base64.b64decode(raw, validate=True)]
    except binascii.Error:
        return [raw]
