"""Static files that were not collected, of another release, cut short, gone: the server mends it, and pages come."""

import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from django.contrib.staticfiles import finders

from tests.databases import portal_database
from tests.parallel import all_at_once
from tests.portal import ROOT, Portal

pytestmark = [pytest.mark.once, pytest.mark.finding("H22")]

STYLE: Final = "css/base.css"
SOURCE: Final = (ROOT / "static" / STYLE).read_bytes()
PAGES: Final = {"/": 200, "/accounts/login/": 200, "/nothing/": 404, "/theme/": 405, "/docs/errors/revoked/": 200}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Portal]:
    """A portal that has a folder of its own for static files, with nothing in it."""
    with portal_database(tmp_path) as database_url:
        portal = Portal(tmp_path, database_url, KEYPORTAL_STATIC_ROOT=str(tmp_path / "static"))
        yield portal
        portal.stop()


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `collectstatic` makes."""
    folder = tmp_path_factory.mktemp("collected")
    root = folder / "static"
    Portal(folder, f"sqlite:///{folder}/none", KEYPORTAL_STATIC_ROOT=str(root)).command(
        "collectstatic", "--noinput", "--verbosity=0"
    )
    return root


@pytest.fixture
def collect(site: Portal, collected: Path) -> Callable[[], Path]:
    """Have the static files be collected."""

    def copy() -> Path:
        return Path(shutil.copytree(collected, site.environment["KEYPORTAL_STATIC_ROOT"], dirs_exist_ok=True))

    return copy


def named_in_pages(site: Portal) -> set[str]:
    """Return the addresses of everything static that pages name, after a look at each page."""
    found = set()
    for path, status in PAGES.items():
        answer = site.get(path)
        assert (answer.status, b"</html>" in answer.body) == (status, True), path
        found |= set(re.findall(r'(?:href|src)="(/static/[^"]+)"', answer.body.decode()))
    return found


def pages_are_whole(site: Portal) -> set[str]:
    """Look at pages and at whatever they name; return how long browsers keep that."""
    answers = {address: site.get(address) for address in named_in_pages(site)}
    assert {answer.status for answer in answers.values()} == {200}, answers.keys()
    (style,) = (address for address in answers if "/css/base." in address)
    assert answers[style].body == SOURCE
    assert site.get("/readyz").status == 200
    return {answer.headers["cache-control"] for answer in answers.values()}


def for_years(site: Portal) -> bool:
    return all("immutable" in kept for kept in pages_are_whole(site))


def test_the_server_collects_what_nobody_has_collected(site: Portal) -> None:
    site.start(workers=2)
    assert for_years(site)
    assert "keyportal: static files were collected" in site.log.read_text()
    site.stop()
    written = site.log.stat().st_size
    site.start(workers=1)
    assert for_years(site)
    assert "static files" not in site.log.read_text()[written:]


def manifest_without_a_name(root: Path) -> None:
    manifest = json.loads((root / "staticfiles.json").read_text())
    del manifest["paths"][STYLE]
    (root / "staticfiles.json").write_text(json.dumps(manifest))


def another_release(root: Path) -> None:
    """The file of another release, which is newer than this one's: a command alone would keep it."""
    (root / STYLE).write_text("body { color: red }")


def half_a_manifest(root: Path) -> None:
    manifest = (root / "staticfiles.json").read_text()
    (root / "staticfiles.json").write_text(manifest[: len(manifest) // 2])


def half_a_file(root: Path) -> None:
    (hashed,) = root.glob("css/base.????????????.css")
    hashed.write_bytes(SOURCE[: len(SOURCE) // 2])


def half_a_compressed_file(root: Path) -> None:
    (hashed,) = root.glob("css/base.????????????.css.gz")
    hashed.write_bytes(hashed.read_bytes()[:-9])


def no_hashed_file(root: Path) -> None:
    (hashed,) = root.glob("css/base.????????????.css")
    hashed.unlink()


@pytest.mark.parametrize(
    "spoil",
    [manifest_without_a_name, another_release, half_a_manifest, half_a_file, half_a_compressed_file, no_hashed_file],
    ids=lambda spoil: spoil.__name__,
)
def test_the_server_mends_what_is_not_of_this_release(
    site: Portal, collect: Callable[[], Path], spoil: Callable[[Path], None]
) -> None:
    root = collect()
    spoil(root)
    assert "keyportal.W042" in site.command("check", "--deploy").stderr
    site.start(workers=1)
    assert for_years(site)
    assert "keyportal: static files were collected" in site.log.read_text()
    (hashed,) = root.glob("css/base.????????????.css.gz")
    assert gzip.decompress(hashed.read_bytes()) == SOURCE
    assert "W042" not in site.command("check", "--deploy").stderr


def test_what_was_collected_of_this_release_is_nothing_to_warn_of(site: Portal, collect: Callable[[], Path]) -> None:
    collect()
    assert "W042" not in site.command("check", "--deploy").stderr


def test_where_it_may_not_write_it_says_so_and_serves_the_code_s_own(site: Portal) -> None:
    site.environment["KEYPORTAL_STATIC_ROOT"] = "/dev/null/static"  # which nobody may write, root neither
    assert "keyportal.W042" in site.command("check", "--deploy").stderr
    site.start(workers=2)
    assert not for_years(site)
    log = site.log.read_text()
    assert log.count("keyportal: static files can't be collected (NotADirectoryError)") == 1
    assert "run `manage.py collectstatic`" in log


def test_it_uses_nothing_of_another_release_where_it_can_not_mend_it(site: Portal, collect: Callable[[], Path]) -> None:
    root = collect()
    (root / STYLE).unlink()
    (root / STYLE).mkdir()  # what can't be replaced by a file
    site.start(workers=1)
    assert not for_years(site)


def test_pages_go_on_when_the_files_are_gone_while_it_runs(site: Portal, collect: Callable[[], Path]) -> None:
    site.start(workers=2)
    before = named_in_pages(site)
    shutil.rmtree(site.environment["KEYPORTAL_STATIC_ROOT"])
    assert not for_years(site)
    assert named_in_pages(site) == before
    assert site.get("/static/css/nothing.css").status == 404
    collect()
    assert for_years(site)
    log = site.log.read_text()
    assert "Traceback" not in log
    assert 1 <= log.count("files in KEYPORTAL_STATIC_ROOT can't be read (FileNotFoundError)") <= 2


def test_servers_that_start_at_once_do_not_get_in_each_others_way(site: Portal, tmp_path: Path) -> None:
    sites = [Portal(tmp_path, site.environment["DATABASE_URL"]) for _ in range(3)]
    for other in sites:
        other.environment = {**site.environment, "KEYPORTAL_URL": other.url}
        other.log = tmp_path / f"{other.port}.log"
    try:
        all_at_once(len(sites), lambda number: sites[number].start(workers=1))
        assert all(map(for_years, sites))
        collected = [other.log.read_text().count("static files were collected") for other in sites]
        assert sum(collected) == 1
    finally:
        for other in sites:
            other.stop()


def test_whatever_a_template_names_is_there() -> None:
    """The storage makes no error of a name that it does not know."""
    named = {
        name
        for template in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r"{% static ['\"]([^'\"]+)['\"]", template.read_text())
    }
    ours = {str(path.relative_to(ROOT / "static")) for path in (ROOT / "static").rglob("*") if path.is_file()}
    assert STYLE in named
    assert {name for name in named - ours if finders.find(name) is None} == set()
