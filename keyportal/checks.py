"""System checks of the project: every setting against its table, stray names, and required middleware."""

import pkgutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.recorder import MigrationRecorder
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string

from credentials.verdict_query.postgresql.base import DatabaseWrapper as PostgreSQL
from keyportal.databases import POSTGRESQL
from keyportal.http.static_files import find_outdated
from keyportal.options import OPTIONS
from keyportal.options.kinds import BASE_DIR, UnsuitableError
from keyportal.options.reading import parse
from keyportal.tracing.switch import are_packages_there, is_asked_for


@register("keyportal")
def check_options(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E004 to E040 for settings that their table rejects, also in settings modules based on the portal's own."""
    errors: list[CheckMessage] = []
    for option in OPTIONS:
        written = _as_text(getattr(settings, option.name, None))
        if written is None:
            continue
        try:
            parse(option, written, option.name)
        except UnsuitableError as error:
            hint = "docs/configuration.md says what each setting takes."
            errors.append(Error(f"{error}.", hint=hint, id=f"keyportal.{option.id}"))
    return errors


@register("keyportal")
def check_names(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return W040 for each environment variable or `.env` entry that looks like a setting but is none."""
    hint = "It has no effect. docs/configuration.md lists the settings."
    return [Caution(f"{sentence}.", hint=hint, id="keyportal.W040") for sentence in settings.KEYPORTAL_STRAY_NAMES]


@register("keyportal")
def check_middleware(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E041 for what Django's security.W002, W003, W016 and W019 ask, which know middleware only by its name."""
    present = [import_string(path) for path in settings.MIDDLEWARE]
    expected = {
        "X-Frame-Options: DENY": _has(present, XFrameOptionsMiddleware) and settings.X_FRAME_OPTIONS == "DENY",
        "the CSRF check of forms": _has(present, CsrfViewMiddleware),
        "a CSRF cookie for https only": settings.CSRF_COOKIE_SECURE or not settings.HTTPS,
    }
    hint = "MIDDLEWARE in keyportal/settings.py has it, but the settings in use do not."
    return [
        Error(f"Pages would be served without {what}.", hint=hint, id="keyportal.E041")
        for what, is_there in expected.items()
        if not is_there
    ]


@register("keyportal")
def check_database_backend(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E044 if PostgreSQL is reached by another backend than the portal's, whose connections have no timeout."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "postgresql" or isinstance(connection, PostgreSQL):
        return []
    hint = "keyportal.databases.with_defaults sets it; leave DATABASES as the portal's settings have it."
    return [Error(f"The ENGINE of the database must be {POSTGRESQL}.", hint=hint, id="keyportal.E044")]


@register(Tags.database)
def check_migrations(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **options: Any
) -> list[CheckMessage]:
    """Return E043 if the database has migrations of the portal's that this code does not: another version made it."""
    if not databases:
        return []
    known = set(_own_migrations())
    rooms = {label for label, _ in known}
    applied = MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations()
    unknown = sorted(f"{label}.{name}" for label, name in applied if label in rooms and (label, name) not in known)
    if not unknown:
        return []
    text = f"The database was made by another version of keyportal: it has {unknown[0]}, which this one lacks."
    hint = (
        "Run that version, or start with an empty database. There is no release yet, so a database of an earlier state "
        "is not carried over: `make run` makes a new one once you have moved var/keyportal.sqlite3 away."
    )
    return [Error(text, hint=hint, id="keyportal.E043")]


@register("keyportal")
def check_tracing(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return W045 if the settings name a collector of traces, and the packages that send them are not installed."""
    if not is_asked_for() or are_packages_there():
        return []
    hint = "Run `pip install -r requirements-tracing.txt`, or take OTEL_EXPORTER_OTLP_ENDPOINT away."
    return [Caution("Nothing is traced: OpenTelemetry's packages are not installed.", hint=hint, id="keyportal.W045")]


@register("keyportal", deploy=True)
def check_static_files(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return W042 if the collected static files are not those of this release."""
    try:
        if not find_outdated():
            return []
        text = "The static files in KEYPORTAL_STATIC_ROOT are not from this release."
    except OSError as error:
        text = f"The static files in KEYPORTAL_STATIC_ROOT can't be read ({type(error).__name__})."
    hint = (
        "The server collects them when it starts if its user can write there; otherwise pages are served uncompressed. "
        "`manage.py collectstatic` does it beforehand."
    )
    return [Caution(text, hint=hint, id="keyportal.W042")]


def _own_migrations() -> Iterator[tuple[str, str]]:
    """Yield label and name of each migration of the portal's own apps, without importing any of them."""
    for config in apps.get_app_configs():
        if Path(config.path).parent == BASE_DIR:
            for found in pkgutil.iter_modules([str(Path(config.path, "migrations"))]):
                yield config.label, found.name


def _has(present: Sequence[object], middleware: type) -> bool:
    return any(isinstance(other, type) and issubclass(other, middleware) for other in present)


def _as_text(value: object) -> str | None:
    """Return a value as an operator would write it, or None for a type that has no such text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, str | int | float) else None
