"""Styles, scripts and images: the server collects them when it starts, or serves the code's own if it can't.

Pages must not break because a command was forgotten, a disk is full or a folder is gone.
"""

import fcntl
import gzip
import logging
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.conf import STATICFILES_STORAGE_ALIAS, settings
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.contrib.staticfiles.finders import AppDirectoriesFinder, get_finders
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import call_command
from django.http import Http404, HttpRequest, HttpResponseBase
from typing_extensions import override
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage

logger = logging.getLogger(__name__)

UNCOLLECTED: Final = (
    "pages use the code's own, uncompressed and cached only briefly by browsers. Let the server's user write to "
    "KEYPORTAL_STATIC_ROOT, or run `manage.py collectstatic` as a user who can; then restart"
)


UNUSED: Final = ("redoc", "*.map", "oauth2-redirect*", "swagger-ui-standalone-preset*")
"""What nobody asks for in the API explorer's package: 8 of its 10 MB."""


class AppFinder(AppDirectoriesFinder):
    """Finds the files of apps that pages use."""

    @override
    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        return super().list([*(ignore_patterns or ()), *UNUSED])


class StaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # untyped
    """Names collected files with a hash of their content, and others by their plain names."""

    patterns = tuple(
        (files, tuple(pattern for pattern in patterns if "sourceMappingURL" not in str(pattern)))
        for files, patterns in CompressedManifestStaticFilesStorage.patterns
    )
    """Which addresses in files are replaced: not those of maps, which are not collected."""

    @override
    def load_manifest(self) -> tuple[dict[str, str], str]:
        """Return the hashed names by the names of files; none if the collected files can't be read."""
        try:
            loaded: tuple[dict[str, str], str] = super().load_manifest()
        except (OSError, ValueError):
            return {}, ""
        return loaded

    @override
    def stored_name(self, name: str) -> str:
        """Return the hashed name if the file was collected, else the plain name."""
        try:
            hashed: str = super().stored_name(name)
        except ValueError:
            return name
        return hashed


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # untyped
    """Serves the collected files. If one has disappeared since, it serves the code's own, and logs that once."""

    _has_warned = False

    @override
    def serve(self, static_file: Any, request: HttpRequest) -> HttpResponseBase:
        """Return the file. Raises `Http404` if it does not exist."""
        try:
            return self._serve_file(static_file, request)
        except OSError as error:
            self._warn(error)
            plain = self.files.get(self._plain_names().get(request.path_info))
        if plain is None:
            raise Http404
        return self._serve_file(plain, request)

    def _serve_file(self, static_file: Any, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = WhiteNoiseMiddleware.serve(static_file, request)
        return response

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            logger.error(
                "files in KEYPORTAL_STATIC_ROOT can't be read (%s), so the code's own are served. "
                "`manage.py collectstatic` restores them",
                type(error).__name__,
            )

    def _plain_names(self) -> dict[str, str]:
        storage = _storage()
        names = storage.hashed_files.items() if storage else ()
        return {self.static_prefix + hashed: self.static_prefix + name for name, hashed in names}


def collect_if_outdated() -> str:
    """Collect static files unless those of the code are already there; return a sentence about it, or nothing.

    If collecting fails, this process ignores what was collected before, because it may be of another release.
    """
    storage = _storage()
    if storage is None:
        return ""
    try:
        if not find_outdated():
            return ""
        with _lock_folder(Path(settings.STATIC_ROOT)):
            storage.hashed_files, storage.manifest_hash = storage.load_manifest()  # another process may have written it
            names = find_outdated()
            for name in names:
                Path(settings.STATIC_ROOT, name).unlink(missing_ok=True)  # collectstatic would keep a newer one
            if names:
                call_command("collectstatic", interactive=False, verbosity=0)
    except OSError as error:
        storage.hashed_files.clear()
        return f"static files can't be collected ({type(error).__name__}): {UNCOLLECTED}"
    return "static files were collected" if names else ""


def find_outdated() -> list[str]:
    """Return the names in STATIC_ROOT that differ from the code's files: missing, different or incomplete."""
    storage = _storage()
    if storage is None:
        return []
    return [wrong for name, source in _of_code().items() for wrong in _wrong(name, source, storage)]


def _storage() -> StaticFilesStorage | None:
    """Return the storage of collected files, or None if the settings do not collect any."""
    storage = storages[STATICFILES_STORAGE_ALIAS]
    return storage if isinstance(storage, StaticFilesStorage) else None


def _wrong(name: str, source: FileSystemStorage, storage: StaticFilesStorage) -> Iterator[str]:
    if _content(storage.path(name)) != _content(source.path(name)):
        yield name
    hashed = storage.hashed_files.get(name)
    if hashed is None:
        yield name
    elif not _is_whole(hashed, storage):
        yield hashed


def _is_whole(hashed: str, storage: StaticFilesStorage) -> bool:
    """Return whether a file fits the hash in its name, and its compressed copy, if there is one, fits the file."""
    path = storage.path(hashed)
    content, compressed = _content(path), _content(f"{path}.gz")
    if content is None or f".{storage.file_hash(hashed, ContentFile(content))}" not in hashed:
        return False
    try:
        return compressed is None or gzip.decompress(compressed) == content
    except (OSError, EOFError, zlib.error):
        return False


def _content(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


def _of_code() -> dict[str, FileSystemStorage]:
    """Return each file's storage by its name, as `collectstatic` finds them: the first one with a name wins."""
    ignored: list[str] = StaticFilesConfig.ignore_patterns
    found: dict[str, FileSystemStorage] = {}
    for finder in get_finders():
        for name, storage in finder.list(ignored):
            found.setdefault(name, storage)
    return found


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes of this machine from collecting into the folder meanwhile. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
