"""The small parts of the client: addresses, texts in a terminal, shapes, times, tables."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import time_machine
from click.testing import CliRunner

from keyportal_client.address import PortalAddress
from keyportal_client.api import Client
from keyportal_client.caller import FixedCredential
from keyportal_client.cli.inert import cut, inert, width, without_secrets
from keyportal_client.cli.login_file import Entry, LoginFile
from keyportal_client.cli.private_file import PrivateFile
from keyportal_client.cli.root import keyportal
from keyportal_client.cli.times import MomentType, shown_time
from keyportal_client.cli.uninterrupted import uninterrupted
from keyportal_client.cli.with_secret import run_with_secret
from keyportal_client.conforming import conform
from keyportal_client.errors import AddressError, UnexpectedAnswerError
from keyportal_client.shapes import Calls, Scope, Secret

pytestmark = pytest.mark.once


@contextmanager
def handled_by(signum: signal.Signals, handler: Any) -> Iterator[None]:
    """Handle a signal like this, whatever the tests were started to ignore."""
    former = signal.signal(signum, handler)
    try:
        yield
    finally:
        signal.signal(signum, former)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("keys.example.com", "https://keys.example.com"),
        ("https://KEYS.example.com/", "https://keys.example.com"),
        ("https://keys.example.com:443", "https://keys.example.com"),
        (" https://keys.example.com:8443 ", "https://keys.example.com:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://schlüssel.example", "https://xn--schlssel-95a.example"),
    ],
)
def test_an_address_has_one_spelling(written: str, meant: str) -> None:
    assert str(PortalAddress.parse(written)) == meant
    assert PortalAddress.parse(meant) == PortalAddress.parse(written)


@pytest.mark.parametrize("written", ["", "http://127.0.0.1.example.com", "http://localhost.example.com", "https://a b"])
def test_what_only_looks_like_this_machine_is_not(written: str) -> None:
    with pytest.raises(AddressError):
        PortalAddress.parse(written)


@pytest.mark.parametrize("letter", ["ß", "ẞ", "ς", "\u200c", "\u200d"])
def test_a_name_that_a_browser_would_look_for_elsewhere_is_none(letter: str) -> None:
    """What an app shows as one host, and what a person types, must not lead to two."""
    with pytest.raises(AddressError):
        PortalAddress.parse(f"https://stra{letter}e.example")
    assert PortalAddress.parse("https://xn--strae-oqa.example").host == "xn--strae-oqa.example"


def test_an_id_can_not_lead_elsewhere() -> None:
    client = Client("http://127.0.0.1:9", FixedCredential("kp_live_x"))
    for key_id in ("", "..", "key_1/../../me", "key_1?a=b", "key_ä"):
        with pytest.raises(ValueError, match="begins with key_"):
            client.key(key_id)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße 日本 🔑", "Grüße 日本 🔑"),
        ("a\x1b]8;;http://x\x1b\\", r"a\u001b]8;;http://x\u001b" + "\\"),
        ("a\u202eb\u2066c\ufeff", r"a\u202eb\u2066c\ufeff"),
        ("a\r\n\x9bb", r"a\u000d\u000a\u009bb"),
        ("\udcff", r"\udcff"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("عربي", "\u2068عربي\u2069"),
    ],
)
def test_a_text_of_others_does_nothing_in_a_terminal(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_a_text_is_cut_by_what_a_terminal_needs_for_it() -> None:
    assert [width(text) for text in ("abc", "日本", "e\u0301", "\u2068ab\u2069")] == [3, 4, 1, 2]
    assert [cut(text, 4) for text in ("abcd", "abcde", "日本語", inert("שלום!"))] == [
        "abcd",
        "abc…",
        "日…",
        "\u2068שלו\u2069…",
    ]


def test_a_message_holds_no_credential() -> None:
    said = without_secrets(
        "no kp_live_0123456789 nor acme_refresh_0123456789abc, eyJhbGciOiJFUzI1NiJ9.e30.x, key_123456789"
    )
    assert said == "no kp_live_… nor acme_refresh_…, …, key_123456789"


AT = "2026-01-01T00:00:00Z"


def test_an_answer_has_what_its_shape_names_and_may_have_more() -> None:
    scope = {"name": "a", "description": "b", "added": 1}
    assert conform(scope, Scope) == scope
    secret: dict[str, Any] = {"id": "s", "hint": "h", "created_at": AT, "retires_at": None, "last_used_at": None}
    assert conform(secret, Secret) == secret
    for shape, wrong in (
        (Scope, {"name": "a"}),
        (Scope, {"name": None, "description": "b"}),
        (Scope, []),
        (Secret, {**secret, "retires_at": 5}),
        (Secret, {**secret, "retires_at": "soon"}),
        (Secret, {**secret, "id": "a b"}),
        (Calls, {"at": AT, "outcomes": {"accepted": True}}),
        (Calls, {"at": AT, "outcomes": {"accepted": "7"}}),
        (Calls, {"at": AT, "outcomes": ["accepted"]}),
    ):
        with pytest.raises(UnexpectedAnswerError):
            conform(wrong, shape)


def test_moments_are_written_as_people_write_them() -> None:
    takes = MomentType(takes_never=True)
    assert takes.convert("never", None, None) == "never"
    assert takes.convert("2027-01-31", None, None) == "2027-01-31T23:59:59Z"
    assert takes.convert("2027-01-31T12:00+02:00", None, None) == "2027-01-31T10:00:00Z"
    with time_machine.travel(datetime(2027, 1, 31, 12, tzinfo=UTC), tick=False):
        assert takes.convert("24h", None, None) == "2027-02-01T12:00:00Z"
    for wrong in ("", "soon", "30", "30w", "2027-13-01", "2027-01-31T12:00", "9999999d", "-1d"):
        with pytest.raises(click.BadParameter):
            takes.convert(wrong, None, None)
    for late in ("99999999d", "9" * 40 + "m"):
        with pytest.raises(click.BadParameter, match="too far ahead"):
            takes.convert(late, None, None)
    with pytest.raises(click.BadParameter):
        MomentType(takes_never=False).convert("never", None, None)
    assert [shown_time(text) for text in (None, "2027-01-31T12:00:00Z", "x")] == ["never", "2027-01-31 12:00 UTC", "x"]


def test_a_private_file_that_was_not_written_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_text("former")
    with PrivateFile(place):
        [temporary] = tmp_path.glob(".a.*")
        assert temporary.stat().st_mode & 0o777 == 0o600
    assert place.read_text() == "former"
    with PrivateFile(place) as file:
        file.write("new")
    assert (place.read_text(), place.stat().st_mode & 0o777) == ("new", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("target", ["a", "nowhere", "."])
def test_a_secret_goes_to_no_file_that_a_link_leads_to(tmp_path: Path, target: str) -> None:
    (tmp_path / "a").write_text("somebody's")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    with pytest.raises(OSError, match="there is a link"), PrivateFile(link):
        pytest.fail("it was opened")
    assert link.is_symlink()
    assert (tmp_path / "a").read_text() == "somebody's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "link"]


def test_an_interruption_waits_for_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append("the rest")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the rest"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_command_that_is_not_there_is_a_wrong_usage() -> None:
    assert CliRunner().invoke(keyportal, ["kyes"]).exit_code == 2
    assert CliRunner().invoke(keyportal, []).exit_code == 2


def test_the_log_ins_stay_where_a_link_of_the_user_s_own_leads(tmp_path: Path) -> None:
    """As those do who keep such files together: a log-in that can't be kept after a refresh would end."""
    (tmp_path / "elsewhere").mkdir()
    kept = tmp_path / "elsewhere" / "logins.json"
    LoginFile().write(tmp_path / "elsewhere")
    (tmp_path / "logins.json").symlink_to(kept)
    LoginFile().with_login("https://keys.example.com", Entry(kind="key", who="key_1")).write(tmp_path)
    assert (tmp_path / "logins.json").is_symlink()
    assert "keys.example.com" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_ends_even_if_the_signal_comes_while_it_is_started(
    monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
) -> None:
    started: list[int] = []

    class Interrupted(subprocess.Popen[bytes]):
        """A program that runs already when the signal comes, and whose constructor hasn't returned."""

        def __init__(self, *arguments: Any, **how: Any) -> None:
            super().__init__(*arguments, **how)
            started.append(self.pid)
            signal.raise_signal(signum)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with handled_by(signum, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        run_with_secret(["tail", "-f", "/dev/null", "{}"], "kp_live_x")
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_a_signal_that_was_ignored_stays_ignored_by_the_command_and_its_program() -> None:
    """As under `nohup`, when the terminal is closed."""
    signals = "kill -HUP $PPID; kill -HUP $$; exit 3"
    with handled_by(signal.SIGHUP, signal.SIG_IGN):
        assert run_with_secret(["sh", "-c", signals, "{}"], "kp_live_x") == "failed with status 3"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
