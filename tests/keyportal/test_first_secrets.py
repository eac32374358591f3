"""The commands `newkey` and `newsecrets` on a machine that has no settings yet."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from keyportal.first_secrets.fresh import FRESH
from keyportal.options import OPTIONS
from keyportal.options.reading import read_option
from tests.keyportal.test_private_files import open_to_others
from tests.portal import ROOT
from tests.waiting import DEADLINE
from vault.rings import KeyRing
from vault.signing_keys import SigningRing

pytestmark = pytest.mark.once


def bare(*command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a fresh machine would: with no setting at all, and a umask that lets others read."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *command],
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
        umask=0,
    )


def newsecrets(folder: Path) -> list[str]:
    out = StringIO()
    call_command("newsecrets", str(folder), stdout=out)
    return out.getvalue().split()


@pytest.mark.finding("H51")
def test_newkey_needs_no_settings() -> None:
    printed = bare("newkey", "sealing")
    assert printed.stderr == ""
    assert KeyRing.parse("sealing", printed.stdout.strip()).primary


def test_newsecrets_needs_no_settings_and_shows_no_secret(tmp_path: Path) -> None:
    printed = bare("newsecrets", str(tmp_path / "secrets"))
    assert (printed.stdout.split(), printed.stderr) == (list(FRESH), "")
    assert open_to_others(tmp_path / "secrets") == []


def test_what_it_writes_are_secrets_for_the_settings_that_the_files_are_named_after(tmp_path: Path) -> None:
    newsecrets(tmp_path / "secrets")
    given = {f"{name}_FILE": str(tmp_path / "secrets" / name) for name in FRESH}
    values = {option.name: read_option(option, given) for option in OPTIONS if option.name in FRESH}
    assert len(values["SECRET_KEY"]) >= 50
    rings = [KeyRing.parse(name, values[f"KEYPORTAL_{name}_KEYS"]) for name in ("SEALING", "INDEX")]
    assert not rings[0].primary.same_material_as(rings[1].primary)
    assert SigningRing.parse(values["KEYPORTAL_SIGNING_KEYS"]).primary.algorithm == "ES256"


def test_no_file_is_ever_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert newsecrets(folder) == list(FRESH)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    (folder / "SECRET_KEY").unlink()
    assert newsecrets(folder) == ["SECRET_KEY"]
    after = {file: file.read_bytes() for file in folder.iterdir()}
    assert {file for file in after if after[file] != before[file]} == {folder / "SECRET_KEY"}
    assert newsecrets(folder) == []


def test_of_two_writers_at_once_one_wins_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """As where two containers start on one volume."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
    script += "from keyportal.first_secrets.files import write_secret; "
    script += "sys.stdin.readline(); print(write_secret(Path(sys.argv[1]), sys.argv[2]))"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "one"), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    won = [writer.communicate(timeout=DEADLINE)[0].strip() == "True" for writer in writers]
    assert won.count(True) == 1
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"one": f"{won.index(True)}\n"}


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o770, 0o777])
def test_a_folder_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(CommandError, match="open to other users: close it with chmod 700"):
        newsecrets(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets").mkdir(mode=0o700)
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    with pytest.raises(CommandError, match="belongs to another user"):
        newsecrets(tmp_path / "secrets")


def test_a_folder_that_can_not_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "missing" / "secrets", tmp_path / "file"):
        with pytest.raises(CommandError, match=r"^The folder can't be written: [A-Z][a-z ]+\.$"):
            newsecrets(folder)
