"""System checks of the project: every setting against its table, stray names, and required middleware."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string

from keyportal.http.static_files import outdated
from keyportal.options import OPTIONS
from keyportal.options.kinds import UnsuitableError
from keyportal.options.reading import parse


@register("keyportal")
def check_options(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return E004 to E040 for settings that their table rejects, also in settings modules based on the portal's own."""
    errors: list[CheckMessage] = []
    for option in OPTIONS:
        written = _as_written(getattr(settings, option.name, None))
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
    wanted = {
        "X-Frame-Options: DENY": _has(present, XFrameOptionsMiddleware) and settings.X_FRAME_OPTIONS == "DENY",
        "the CSRF check of forms": _has(present, CsrfViewMiddleware),
        "a CSRF cookie for https only": settings.CSRF_COOKIE_SECURE or not settings.HTTPS,
    }
    hint = "MIDDLEWARE in keyportal/settings.py has it, but the settings in use do not."
    return [
        Error(f"Pages would be served without {what}.", hint=hint, id="keyportal.E041")
        for what, is_there in wanted.items()
        if not is_there
    ]


@register("keyportal", deploy=True)
def check_static_files(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Return W042 if the collected static files are not those of this release."""
    try:
        if not outdated():
            return []
        text = "The static files in KEYPORTAL_STATIC_ROOT are not from this release."
    except OSError as error:
        text = f"The static files in KEYPORTAL_STATIC_ROOT can't be read ({type(error).__name__})."
    hint = (
        "The server collects them when it starts if its user can write there; otherwise pages are served uncompressed. "
        "`manage.py collectstatic` does it beforehand."
    )
    return [Caution(text, hint=hint, id="keyportal.W042")]


def _has(present: Sequence[object], middleware: type) -> bool:
    return any(isinstance(other, type) and issubclass(other, middleware) for other in present)


def _as_written(value: object) -> str | None:
    """Return a value as an operator would write it, or None for a type that has no such text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, str | int | float) else None
